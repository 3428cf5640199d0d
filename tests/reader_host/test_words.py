"""The words of local pages: each has its Russian, with the same places for values, and is compiled."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

RUSSIAN = "translations/ru/LC_MESSAGES/messages.po"
_PLACE = re.compile(r"%\((\w+)\)[sd]")


def wanted(folder: Path) -> set[str | tuple[str, str]]:
    """Every text that a template asks to translate."""
    found: set[str | tuple[str, str]] = set()
    for path in (folder / "templates").glob("*.html"):
        for _, message, _, _ in extract_from_file("jinja2", path):
            found.add(tuple(message[:2]) if isinstance(message, tuple) else message)  # type: ignore[arg-type]
    return found


def texts(string: object) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, list | tuple) else (str(string),)


@pytest.mark.parametrize("name", ["desk", "local"])
def test_every_word_has_its_russian(name: str):
    folder = Path("reader_host") / name
    with (folder / RUSSIAN).open("rb") as file:
        russian = {message.id: message for message in read_po(file, locale="ru") if message.id}
    with (folder / RUSSIAN).with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert wanted(folder) == set(russian)
    for key, message in russian.items():
        told, last = texts(message.string), texts(key)[-1]
        assert len(told) == (3 if isinstance(key, tuple) else 1), key
        for text in told:
            assert text, key
            assert set(_PLACE.findall(text)) == set(_PLACE.findall(last)), key
        kept = compiled.get(key[0] if isinstance(key, tuple) else key)
        assert kept, f"run scripts/setup: {key}"
        assert texts(kept.string) == told, f"run scripts/setup: {key}"
