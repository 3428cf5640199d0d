"""Reasons of the kitchen's files in Russian: none that the importers give is left in English."""

import re
from pathlib import Path

import pytest

from cloud.meals.reasons import in_language

FOLDER = Path("cloud/meals")
SOURCES = ("goods.py", "goods_file.py", "prices.py", "cycle.py", "workbook.py")
_SAID = re.compile(
    r"(?:GoodRefused|PriceRefused|Refused)\(\s*(f?)\"([^\"]+)\"|wrong\([^,]+, [^,]+, (f?)\"([^\"]+)\""
)
# Not from a file: a command's argument, a page's number, or a file's reason with a code before it.
NOT_FROM_FILES = (
    "a cycle has",
    "a day outside of",
    "more than {_LINES_MAX}",
    "nothing is planned",
    "a check has a name",
    "no such good",
    "week",
    "{name} is no number",
    "{line.code}",
)


def said() -> set[str]:
    found = set()
    for name in SOURCES:
        for match in _SAID.finditer((FOLDER / name).read_text(encoding="utf-8")):
            text = match[2] or match[4]
            if not text.startswith(NOT_FROM_FILES):
                found.add(re.sub(r"\{[^}]*\}", "7", text.replace("{where}", "")))
    return found


def test_every_reason_has_its_russian():
    reasons = said()
    assert len(reasons) > 30
    left = {reason for reason in reasons if re.search(r"[a-z]{3,} [a-z]{2,}", in_language(reason, "ru"))}
    assert left == set()


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("F4: no amount such as 85.00 (two decimals)", "F4: не цена вида 85.00: не больше двух знаков"),
        ("diet vegan cannot be beside these allergens", "диета «веганское» не сочетается с аллергенами"),
        ("L2: part 77 is not in the catalogue", "L2: части 77 нет в списке"),
        ("something new", "something new"),
    ],
)
def test_reason_is_said_in_russian(english, russian):
    assert in_language(english, "ru") == russian
    assert in_language(english, "en") == english
