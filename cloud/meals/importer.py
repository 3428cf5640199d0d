"""The menu of menu.csv: meal, from, to, price_rub.

Promises: `to` is the last minute on sale; two lines never sell at one minute;
money is read from text without a float, so a third decimal is a bad line and
not a rounded one; the same file again changes nothing.  While a file has bad
lines, goods it may have meant stay on sale.
"""

import re

from sqlalchemy import Connection

from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.meals import menu
from protocols.errors import Fault
from protocols.money import minor_from_text

COLUMNS = ("meal", "from", "to", "price_rub")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def import_menu(conn: Connection, school_id: int, table: Table) -> Applied:
    """Apply menu.csv."""
    problems = list(table.problems)
    items: list[menu.Item] = []
    for row in table.rows:
        try:
            item = _item(row.fields)
            menu.check(items, item)
        except (Refused, menu.MenuRefused) as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        items.append(item)
    changed = menu.set_menu(conn, school_id, items, keep_others=bool(problems)) if items else 0
    return Applied(len(items), changed, sorted(problems))


def _item(fields: dict[str, str]) -> menu.Item:
    name = text_of(fields, "meal")
    return menu.Item(name, _minute(fields, "from"), _minute(fields, "to"), _price(fields))


def _minute(fields: dict[str, str], name: str) -> int:
    clock = _CLOCK.fullmatch(fields[name])
    if clock is None:
        raise Refused(f"{name} is no time such as 08:00")
    return int(clock[1]) * 60 + int(clock[2])


def _price(fields: dict[str, str]) -> int:
    try:
        return minor_from_text(fields["price_rub"])
    except Fault as fault:
        raise Refused("price_rub is no amount such as 85.00") from fault
