"""benefits.csv: external_id, meal, from, to, fund, category, and `basis` if the school gives it.

Promises: good rows are applied and each bad one is a problem with its line; the
same file again changes nothing; a row with the pupil, meal and first day of an
earlier one takes its place, so that a period can be shortened; nothing is ever
removed.  Both days are included.
"""

import re
from typing import Any

from sqlalchemy import Connection

from cloud.benefits import store
from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.meals import service as meals
from cloud.people import service as people
from cloud.statements import service as statements

COLUMNS = ("external_id", "meal", "from", "to", "fund", "category")
_CODE = re.compile(r"[A-Za-z0-9-]{1,40}")
_BASIS_MAX = 200


def import_benefits(conn: Connection, school_id: int, table: Table, now: int) -> Applied:
    """Apply benefits.csv."""
    accounts = {account.external_id: account.account_id for account in people.accounts(conn, school_id)}
    known: dict[tuple[int, int, int], tuple[Any, ...]] = {
        (row.account_id, row.meal, row.from_day): (row.to_day, row.fund, row.category, row.basis)
        for row in store.all_of(conn, school_id)
    }
    problems = list(table.problems)
    given: set[tuple[int, int, int]] = set()
    changed = {}
    for row in table.rows:
        try:
            key, values = _entitlement(row.fields, accounts)
            if key in given:
                raise Refused("this pupil, meal and first day stand on an earlier line")
            if any(_overlap(key, values, other, known[other]) for other in known if other[:2] == key[:2]):
                raise Refused("overlaps another period of this pupil and meal")
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        given.add(key)
        if known.get(key) != values:
            known[key] = changed[key] = values
    store.write(conn, [(school_id, *key, *values, now) for key, values in sorted(changed.items())])
    return Applied(len(given), len(changed), sorted(problems))


def _entitlement(
    fields: dict[str, str], accounts: dict[str, int]
) -> tuple[tuple[int, int, int], tuple[int, str, str, str]]:
    account_id = accounts.get(text_of(fields, "external_id"))
    if account_id is None:
        raise Refused("unknown pupil")
    meal = meals.hot_meal(meals.meal_of(text_of(fields, "meal")))
    if not meal:
        raise Refused("meal is no hot meal")
    first, last = _day(fields, "from"), _day(fields, "to")
    if first > last:
        raise Refused("from is after to")
    basis = fields.get("basis", "")
    if len(basis) > _BASIS_MAX:
        raise Refused(f"basis is longer than {_BASIS_MAX} characters")
    return (account_id, meal, first), (last, _code(fields, "fund"), _code(fields, "category"), basis)


def _day(fields: dict[str, str], name: str) -> int:
    try:
        return statements.day_of(text_of(fields, name))
    except ValueError as error:
        raise Refused(f"{name} is no day such as 2026-09-01") from error


def _code(fields: dict[str, str], name: str) -> str:
    code = text_of(fields, name)
    if not _CODE.fullmatch(code):
        raise Refused(f"{name} is no code of Latin letters, digits and dashes")
    return code


def _overlap(
    key: tuple[int, int, int], values: tuple[Any, ...], other: tuple[int, int, int], its: tuple[Any, ...]
) -> bool:
    return other != key and key[2] <= its[0] and other[2] <= values[0]
