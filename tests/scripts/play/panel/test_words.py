"""The panel's words: both languages say the same things, and every station of every story can be told."""

import re
import string
from pathlib import Path

import pytest

from cloud.formats import SchoolTime
from scripts.play import panel
from scripts.play.panel.trail import Choice, Trails
from scripts.play.panel.words import WORDS, Teller
from tests.scripts.play.panel import stand_model

FOLDER = Path(panel.__file__).parent


def places(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def told(story, language, reader="-", walks=True):
    trails = Trails()
    device = "line-1" if reader == "-" else "gate-1"
    trail = trails.open(Choice("a:0F569FAB", True, device, reader, 1788253805, walks), "Роман")
    story(trails, trail.number)
    teller = Teller(language, "RUB", SchoolTime("Europe/Moscow", language))
    return {column.name: column for column in teller.columns(trails.get(trail.number))}


@pytest.mark.parametrize("key", sorted(WORDS))
def test_both_languages_are_complete(key):
    russian, english = WORDS[key]
    assert places(russian) == places(english)
    assert re.search("[а-яё]", russian, re.IGNORECASE)
    assert not re.search("[а-яё]", english, re.IGNORECASE)


def test_every_word_is_used():
    sources = [*FOLDER.glob("*.py"), *FOLDER.glob("templates/*")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    built = {
        "record_go",
        "record_served",
        "record_ask",
        "record_turned",
        "record_not_turned",
        "record_voided",
        "go",
        "served",
    }
    assert [
        key
        for key in WORDS
        if text.count(f'"{key}"') < 2
        and f'say("{key}' not in text
        and f"say('{key}" not in text
        and key not in built
    ] == []


def test_sale_is_told_to_the_kopeck():
    columns = told(stand_model.sale, "ru")
    assert columns["light"].answer == "Выдано"
    assert columns["record"].lines[0] == "Запись 7: продажа, 12:10:05"
    assert columns["books"].rows == (
        ("Кошелёк ребёнка", "−140,00\N{NO-BREAK SPACE}₽"),
        ("Столовая", "+140,00\N{NO-BREAK SPACE}₽"),
    )
    assert columns["message"].quotes == ("Роман: обед в 12:10, 140,00 ₽",)
    assert columns["message"].lines == ("Отправлено взрослым: 2",)


def test_public_columns_tell_no_money():
    """Light and record are public: they are the same words for a full and an empty purse."""
    for story in (stand_model.sale, stand_model.refusal):
        columns = told(story, "en")
        public = [columns[name] for name in ("light", "record")]
        assert not any("₽" in line or "purse" in line for column in public for line in column.lines)
        assert [column.is_private for column in columns.values()] == [False, False, True, True]


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize(
    "story",
    [stand_model.sale, stand_model.entry, stand_model.refusal, stand_model.repeat, stand_model.nothing_yet],
)
def test_every_story_can_be_told(language, story):
    reader = "in" if story is stand_model.entry else "-"
    columns = told(story, language, reader)
    assert list(columns) == ["light", "record", "books", "message"]
    assert all(column.lines for column in columns.values() if column.state != "waiting")
