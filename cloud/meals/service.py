"""What a school sells: the menu as it is, and what goods are called.

Promises: at each minute of a day at most one good is on sale; a good keeps its
number and its name for old sales also after it went off sale.  Leaves it to
the caller to send new settings to the devices after a change (devices.service).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Row

from cloud.meals import store
from cloud.meals.importer import COLUMNS, import_menu
from cloud.meals.menu import Item, MenuRefused, set_menu
from cloud.meals.words import HOT_MEALS, MEALS, TIMES, hot_meal, meal_of, word_of_hot_meal

__all__ = [
    "COLUMNS",
    "HOT_MEALS",
    "Item",
    "MenuRefused",
    "Naming",
    "hot_meal",
    "import_menu",
    "meal_of",
    "set_menu",
    "word_of_hot_meal",
]

Naming = Callable[[Iterable[Sequence[int]]], str]


class Good(NamedTuple):
    """An item with its number (1 to 65535) and its `meal`, a word such as `lunch` or the name itself."""

    good_id: int
    name: str
    meal: str
    from_minute: int
    to_minute: int
    price_minor: int


def menu(conn: Connection, school_id: int) -> list[Good]:
    """What is on sale, by the time of day."""
    return [_good(row) for row in store.all_of(conn, school_id) if row.meal]


def hot_goods(conn: Connection, school_id: int) -> dict[int, int]:
    """The hot meal, 1..7, of every good that was ever on sale and is one."""
    numbers = {row.good_id: hot_meal(row.meal or meal_of(row.name)) for row in store.all_of(conn, school_id)}
    return {good_id: number for good_id, number in numbers.items() if number}


def naming(conn: Connection, school_id: int, language: str) -> Naming:
    """What goods that were ever on sale are called in `ru` or `en`: a function from lines to words.

    A line begins with a good's number and how many of it; meals are in lower case: `lunch x2, tea`.
    Empty when one of the goods has no name.
    """
    names = {}
    for row in store.all_of(conn, school_id):
        words = MEALS.get(row.meal or meal_of(row.name))
        names[row.good_id] = words[language] if words else row.name

    def bought(lines: Iterable[Sequence[int]]) -> str:
        told = [(names.get(line[0], ""), line[1]) for line in lines]
        if not all(name for name, _quantity in told):
            return ""
        return ", ".join(
            name if quantity == 1 else f"{name} {TIMES[language]}{quantity}" for name, quantity in told
        )

    return bought


def _good(row: Row) -> Good:
    return Good(row.good_id, row.name, row.meal, row.from_minute, row.to_minute, row.price_minor)
