"""The rules of a menu: which good is on sale at which minute, for how much.

Promises: windows of a menu never overlap, so that a line needs no choice; the
number of a good is never given to another one, so that an old sale keeps its
name.  Leaves reading it to service.py and files to importer.py.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from cloud.meals import store
from cloud.meals.words import meal_of
from protocols.wire.messages import MENU_MAX

GOOD_MAX = 0xFFFF
_MINUTES = 24 * 60


class MenuRefused(ValueError):
    """An item of a menu cannot be; carries the reason."""


class Item(NamedTuple):
    """A line of a menu: minutes of the school's day, `to_minute` is the last one on sale."""

    name: str
    from_minute: int
    to_minute: int
    price_minor: int


def check(items: Sequence[Item], item: Item) -> None:
    """MenuRefused when `item` cannot join a menu that has `items`."""
    if not item.name:
        raise MenuRefused("meal is empty")
    if not 0 <= item.from_minute < _MINUTES or not 0 <= item.to_minute < _MINUTES:
        raise MenuRefused("not a minute of a day")
    if item.from_minute > item.to_minute:
        raise MenuRefused("from is after to: a window over midnight is two lines")
    if item.price_minor <= 0:
        raise MenuRefused("price is not more than 0")
    if any(_overlap(item, other) for other in items):
        raise MenuRefused("overlaps the time of an earlier line")
    if len(items) >= MENU_MAX:
        raise MenuRefused(f"more than {MENU_MAX} lines")


def set_menu(conn: Connection, school_id: int, items: Sequence[Item], *, keep_others: bool = False) -> int:
    """Make `items` the menu and return how many goods were added, changed or taken off sale.

    A meal that stays keeps its number, whatever its time and price.  Goods that
    are not in `items` go off sale; with `keep_others` only where they overlap.
    """
    for place, item in enumerate(items):
        check(items[:place], item)
    rows = store.all_of(conn, school_id)
    free = defaultdict(list)
    for row in rows:
        free[row.meal or meal_of(row.name)].append(row)
    # A restored database may have forgotten goods that devices have sold; the catalogue has numbers too.
    after = store.highest_number(conn, school_id)
    fresh: list[dict[str, Any]] = []
    stayed: set[int] = set()
    changed = 0
    for item in sorted(items, key=lambda each: each.from_minute):
        values = item._asdict() | {"meal": meal_of(item.name)}
        same = free[values["meal"]]
        if same:
            row = same.pop(0)
            stayed.add(row.good_id)
            changed += _change(conn, school_id, row, values)
        else:
            fresh.append({"school_id": school_id, "good_id": after + len(fresh) + 1, **values})
    if after + len(fresh) > GOOD_MAX:
        raise MenuRefused("no number left for a new good")
    store.add(conn, fresh)
    for row in rows:
        gone = row.good_id not in stayed and row.meal
        if gone and not (keep_others and not any(_overlap(row, item) for item in items)):
            store.change(conn, school_id, row.good_id, {"meal": ""})
            changed += 1
    return changed + len(fresh)


def _change(conn: Connection, school_id: int, row: Row, values: dict[str, Any]) -> bool:
    if all(getattr(row, name) == value for name, value in values.items()):
        return False
    store.change(conn, school_id, row.good_id, values)
    return True


def _overlap(one: Item | Row, other: Item | Row) -> bool:
    return bool(one.from_minute <= other.to_minute and other.from_minute <= one.to_minute)
