"""What the bank and the caterer say about a day: kept as they said it, apart from the books.

Promises: a line is kept once under its own key (the bank's reference, the
caterer's day), whatever became of it in the books; the same line with another
amount is a problem that names the line and changes nothing.  Leaves comparing to
reconciliation, and posting to accounting.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.csv_file import Applied, Problem, Refused, Table, text_of
from cloud.db import lock_school
from cloud.statements import store
from protocols.errors import Fault
from protocols.money import minor_from_text

BANK, CATERER = "bank", "caterer"
BANK_COLUMNS = ("bank_ref", "amount_rub")
"""`date` may be there too; without it the lines are of the day that the caller says.  An amount below 0
left the account: money back to a parent, under the reference `KEY:PART` of its payout."""
CATERER_COLUMNS = ("date", "portions", "amount_rub")

_EPOCH = date(1970, 1, 1).toordinal()
_DIGITS_MAX = 7


class Line(NamedTuple):
    """One line of a statement.  `day`: since 1970-01-01; `line`: in the file, 0 where there is none."""

    key: str
    day: int
    amount_minor: int
    portions: int | None = None
    line: int = 0


def day_of(text: str) -> int:
    """Days since 1970-01-01 of `2026-09-01` or `01.09.2026`; ValueError for any other text."""
    if "." in text:
        text = "-".join(reversed(text.split(".")))
    return date.fromisoformat(text).toordinal() - _EPOCH


def of_day(conn: Connection, school_id: int, source: str, day: int) -> list[Line]:
    """What a source says about a day."""
    return [_line(row) for row in store.of_day(conn, school_id, source, day)]


def by_key(conn: Connection, school_id: int, source: str, keys: Sequence[str]) -> dict[str, Line]:
    """The lines with these keys, of whatever day."""
    return {key: _line(row) for key, row in store.by_key(conn, school_id, source, keys).items()}


def keep(
    conn: Connection, school_id: int, source: str, lines: Iterable[Line], file: str, now: int
) -> tuple[int, list[Line]]:
    """Keep lines that are new; (how many were, those whose key is known with another amount)."""
    wanted = list(lines)
    if not wanted:
        return 0, []
    lock_school(conn, school_id)
    known = by_key(conn, school_id, source, [line.key for line in wanted])
    fresh: list[Line] = []
    other: list[Line] = []
    for line in wanted:
        before = known.get(line.key)
        if before is None:
            known[line.key] = line
            fresh.append(line)
        elif before[2:4] != line[2:4]:
            other.append(line)
    rows = [(school_id, source, *line[:4], file, line.line, now) for line in fresh]
    store.add(conn, rows)
    return len(fresh), other


def import_bank(conn: Connection, school_id: int, table: Table, day: int, now: int) -> Applied:
    """Apply a bank's statement; with one problem the caller undoes it all."""
    return _import(conn, school_id, BANK, table, day, now)


def import_caterer(conn: Connection, school_id: int, table: Table, now: int) -> Applied:
    """Apply a caterer's statement, one line a day; with one problem the caller undoes it all."""
    return _import(conn, school_id, CATERER, table, 0, now)


def _import(conn: Connection, school_id: int, source: str, table: Table, day: int, now: int) -> Applied:
    problems: list[Problem] = list(table.problems)
    lines: list[Line] = []
    for row in table.rows:
        try:
            lines.append(_read(source, row.fields, day)._replace(line=row.line))
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
    changed, other = keep(conn, school_id, source, lines, table.file, now)
    what = "bank_ref" if source == BANK else "date"
    problems += [table.problem(line.line, f"{what} was given before with another amount") for line in other]
    return Applied(len(lines) - len(other), changed, sorted(problems))


def _read(source: str, fields: dict[str, str], day: int) -> Line:
    if source == CATERER or fields.get("date"):
        try:
            day = day_of(fields["date"])
        except ValueError as error:
            raise Refused("date is no day such as 2026-09-01") from error
    try:
        amount_minor = minor_from_text(fields["amount_rub"])
    except Fault as fault:
        raise Refused("amount_rub is no amount such as 500.00") from fault
    if source == BANK:
        if not amount_minor:
            raise Refused("amount_rub is 0")
        return Line(text_of(fields, "bank_ref"), day, amount_minor)
    if amount_minor < 0:
        raise Refused("amount_rub is less than 0")
    portions = fields["portions"]
    if not (portions.isascii() and portions.isdigit() and len(portions) <= _DIGITS_MAX):
        raise Refused("portions is no number such as 214")
    return Line(str(date.fromordinal(day + _EPOCH)), day, amount_minor, int(portions))


def _line(row: object) -> Line:
    return Line(row.key, row.day, row.amount_minor, row.portions, row.line)  # type: ignore[attr-defined]
