"""The menu file of a till: goods with their names, tabs, prices and hours, for the fingers of the staff.

Promises: a file is taken whole or not at all, and every problem is told by its place (`goods[3].price`);
prices are read from text without a float.  The file holds no person.  Leaves what is charged to the
controller, which knows the same goods by its settings.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from protocols.errors import Fault
from protocols.money import minor_from_text

FILE = "menu.json"
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_GOOD_MAX = 0xFFFF


class MenuRefused(ValueError):
    """A file that is no menu; `problems` are lines `place: what is wrong`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Words(NamedTuple):
    """A name in both languages."""

    ru: str
    en: str

    def of(self, language: str) -> str:
        """As it stands on the page."""
        return self.ru if language == "ru" else self.en


class Good(NamedTuple):
    """What can be rung up.  Minutes of the day, `to_minute` is the last one on sale.

    `portion`: how much it is; `contents`: what a set meal is made of, and then its tile is wide; `stock`:
    portions cooked, None where nobody counts; `is_checked`: for allergens, else it cannot be sold.
    """

    number: int
    tab: str
    name: Words
    price_minor: int
    from_minute: int
    to_minute: int
    portion: Words
    contents: Words
    stock: int | None
    is_checked: bool
    barcodes: tuple[str, ...]

    @property
    def is_set(self) -> bool:
        """Whether it is a set meal."""
        return bool(self.contents.ru)


class Tab(NamedTuple):
    """A group of goods."""

    key: str
    name: Words


class Menu(NamedTuple):
    """What the till shows."""

    currency: str
    tabs: tuple[Tab, ...]
    goods: tuple[Good, ...]

    def good(self, number: int) -> Good | None:
        """The good of a number."""
        return next((each for each in self.goods if each.number == number), None)

    def of_barcode(self, code: str) -> Good | None:
        """The good that carries a barcode."""
        return next((each for each in self.goods if code in each.barcodes), None)

    def at(self, minute: int) -> list[Good]:
        """What is on sale at a minute of the day."""
        return [each for each in self.goods if each.from_minute <= minute <= each.to_minute]


def read(folder: Path) -> Menu:
    """The menu of a folder; MenuRefused, also where there is none."""
    path = folder / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_float=_no_float)
    except OSError as error:
        raise MenuRefused([f"{path}: {error.strerror}"]) from error
    except ValueError as error:
        raise MenuRefused([f"{path}: no JSON: {error}"]) from error
    return _Reader().menu(value)


def _no_float(text: str) -> Any:
    raise ValueError(f"{text} is no whole number: write prices as text, as in {FILE}'s guide")


class _Reader:
    """Reads one file and gathers its problems."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def menu(self, value: Any) -> Menu:
        currency = self._text(value, "currency", "menu")
        listed = self._list(value, "tabs")
        tabs = [
            Tab(self._text(each, "key", f"tabs[{at}]"), self._words(each, "name", f"tabs[{at}]", must=True))
            for at, each in enumerate(listed)
        ]
        keys = {tab.key for tab in tabs}
        goods = [self._good(each, f"goods[{at}]", keys) for at, each in enumerate(self._list(value, "goods"))]
        self._unique([str(each.number) for each in goods], "number")
        self._unique([code for each in goods for code in each.barcodes], "barcode")
        if self._problems:
            raise MenuRefused(self._problems)
        return Menu(currency, tuple(tabs), tuple(goods))

    def _good(self, value: Any, place: str, tabs: set[str]) -> Good:
        number = value.get("number") if isinstance(value, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= _GOOD_MAX:
            self._wrong(f"{place}.number", f"no number from 1 to {_GOOD_MAX}")
            number = 0
        tab = self._text(value, "tab", place)
        if tab and tab not in tabs:
            self._wrong(f"{place}.tab", f"there is no tab '{tab}'")
        name = self._words(value, "name", place, must=True)
        first, last = self._minute(value, "from", place), self._minute(value, "to", place)
        if first > last:
            self._wrong(f"{place}.to", "is before from")
        stock = self._optional(value, "stock", place, int, None)
        checked = self._optional(value, "checked", place, bool, False)
        codes = self._optional(value, "barcodes", place, list, [])
        if not all(isinstance(code, str) and code.isascii() and code.isdigit() for code in codes):
            self._wrong(f"{place}.barcodes", "no list of digits as text")
            codes = []
        portion, contents = self._words(value, "portion", place), self._words(value, "contents", place)
        price = self._price(value, place)
        return Good(
            number, tab, name, price, first, last, portion, contents, stock, checked, tuple(codes)
        )  # fmt: skip

    def _price(self, value: Any, place: str) -> int:
        try:
            price = minor_from_text(self._text(value, "price", place) or "1")
        except Fault:
            price = 0
        if price <= 0:
            self._wrong(f"{place}.price", "no amount such as 96.00")
        return price

    def _minute(self, value: Any, name: str, place: str) -> int:
        found = _CLOCK.fullmatch(self._text(value, name, place) or "00:00")
        if found is None:
            self._wrong(f"{place}.{name}", "no time such as 08:00")
            return 0
        return int(found[1]) * 60 + int(found[2])

    def _words(self, value: Any, name: str, place: str, *, must: bool = False) -> Words:
        found = value.get(name) if isinstance(value, dict) else None
        if found is None and not must:
            return Words("", "")
        if not isinstance(found, dict):
            self._wrong(f"{place}.{name}", "no names in ru and en")
            return Words("", "")
        return Words(self._text(found, "ru", f"{place}.{name}"), self._text(found, "en", f"{place}.{name}"))

    def _text(self, value: Any, name: str, place: str) -> str:
        found = value.get(name) if isinstance(value, dict) else None
        if isinstance(found, str) and found.strip():
            return found.strip()
        self._wrong(f"{place}.{name}", "no text")
        return ""

    def _list(self, value: Any, name: str) -> list[Any]:
        found = value.get(name) if isinstance(value, dict) else None
        if isinstance(found, list) and found:
            return found
        self._wrong(name, "no list, or an empty one")
        return []

    def _optional(self, value: Any, name: str, place: str, kind: type, default: Any) -> Any:
        found = value.get(name, default) if isinstance(value, dict) else default
        is_number = kind is int and (isinstance(found, bool) or (isinstance(found, int) and found < 0))
        if found is default or (isinstance(found, kind) and not is_number):
            return found
        self._wrong(f"{place}.{name}", f"no {kind.__name__}")
        return default

    def _unique(self, values: list[str], name: str) -> None:
        for value in sorted({each for each in values if values.count(each) > 1}):
            self._wrong("goods", f"{name} {value} is there twice")

    def _wrong(self, place: str, what: str) -> None:
        self._problems.append(f"{place}: {what}")
