"""Words: each has its Russian, and no Russian page has English in it."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from tests.fixtures.pages import Pages, Visitor

CLOUD = Path("cloud")
RUSSIAN = CLOUD / "translations/ru/LC_MESSAGES/messages.po"
_PLACE = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")
# Proper names and what a reader must type or find as it is.
_LEAVE = re.compile(
    r"English|Lang|klasskart cloud office-link|/\S+/spool|\b[0-9a-f]{2,}\b|[a-z]+:\d+", re.IGNORECASE
)


def wanted() -> set[str | tuple[str, str]]:
    """Every text that a template or route asks to translate."""
    found: set[str | tuple[str, str]] = set()
    files = [(path, "jinja2") for path in CLOUD.rglob("*.html")]
    files += [(path, "python") for path in CLOUD.rglob("routes.py")]
    for path, method in files:
        for _, message, _, _ in extract_from_file(method, path):
            found.add(tuple(message[:2]) if isinstance(message, tuple) else message)  # type: ignore[arg-type]
    return found


def catalogue():
    with RUSSIAN.open("rb") as file:
        return read_po(file, locale="ru")


def test_every_word_has_its_russian() -> None:
    russian = {message.id: message for message in catalogue() if message.id}
    assert wanted() == set(russian)
    for message in russian.values():
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(texts), message.id
        assert len(texts) == (3 if isinstance(message.id, tuple) else 1), message.id
        assert not message.fuzzy, message.id


def test_places_for_values_are_the_same() -> None:
    for message in catalogue():
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in texts:
            if message.id:
                assert set(_PLACE.findall(text)) == set(_PLACE.findall(ids[-1])), message.id


def test_compiled_words_are_todays() -> None:
    with RUSSIAN.with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    for message in catalogue():
        if message.id:
            key = message.id[0] if isinstance(message.id, tuple) else message.id
            kept = compiled.get(key)
            assert kept, f"run scripts/setup: {key}"
            assert _texts(kept.string) == _texts(message.string), f"run scripts/setup: {key}"


def _texts(string: object) -> list[str]:
    return list(string) if isinstance(string, list | tuple) else [str(string)]


def paths_of(kind: str) -> list[str]:
    if kind == "door":
        return ["/sign-in", "/office/enter", "/nothing"]
    if kind == "parent":
        return [
            "/",
            "/money",
            "/money/01a0b1c2",
            "/money/01a0b1c2/67",
            "/money/01a0b1c2/62",
            "/more",
            "/nothing",
        ]
    return [
        "/office/",
        "/office/devices",
        "/office/records",
        "/office/records/b1000001/1/6",
        "/office/records/a1000001/1/11?reason=record",
        "/office/find",
        "/office/pupils/01a0b1c2?reason=other",
        "/office/more",
    ]


def visitor_of(pages: Pages, kind: str, language: str) -> Visitor:
    if kind == "door":
        return pages.visitor(language)
    return pages.parent(language=language) if kind == "parent" else pages.staff(language)


def text_of(page: str) -> str:
    """What is read or read out: text, labels, titles; scripts' words too."""
    attributes = re.findall(r'(?:aria-label|data-name|placeholder|data-wait-text|alt|title)="([^"]*)"', page)
    page = page.replace("&nbsp;", " ")
    page = re.sub(r"<(code|dd class=\"hex\")[^>]*>.*?</(code|dd)>", " ", page, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", page) + " ".join(attributes)


@pytest.mark.parametrize("kind", ["door", "parent", "staff"])
def test_russian_pages_have_no_english(pages: Pages, kind: str) -> None:
    visitor = visitor_of(pages, kind, "ru")
    for path in paths_of(kind):
        answer = visitor.get(path)
        assert (answer.status_code == 404) == (path == "/nothing"), path
        left = _LEAVE.sub("", text_of(answer.text))
        assert not re.findall(r"[A-Za-z]{2,}", left), path


@pytest.mark.parametrize("kind", ["door", "parent", "staff"])
def test_english_pages_have_only_russian_names(pages: Pages, kind: str) -> None:
    visitor = visitor_of(pages, kind, "en")
    names = re.compile(r"Русский|Маша|Ваня|Лебедева?|Школа № 15|\b\d+[А-Я]\b")
    for path in paths_of(kind):
        left = names.sub("", text_of(visitor.get(path).text)).replace("Леб", "")
        assert not re.findall(r"[А-Яа-яЁё]+", left), path
