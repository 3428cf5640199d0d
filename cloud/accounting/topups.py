"""Money that comes in: one top-up, or a school's topups.csv (student_id, amount_rub, bank_ref).

Promises: a bank reference counts once in a school, however often it comes; the
same reference with another amount or pupil is a problem that names its line and
leaves the entry as it is.  What the bank said is kept beside the books in the
same transaction, so that an entry that gets lost is missed.  Once the tables are
out, new money is offered to the pupil's home till in the same transaction.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.accounting.books import BANK, PURSES, Entry, PostResult, post, purse
from cloud.accounting.credit import repay
from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.db import lock_school
from cloud.formats import SchoolTime
from cloud.people import service as people
from cloud.statements import service as statements
from protocols.errors import AMOUNT_RANGE, KEY_REUSED, Fault
from protocols.money import MAX_MINOR, minor_from_text

TOPUP_COLUMNS = ("student_id", "amount_rub", "bank_ref")


def top_up(
    conn: Connection, school_id: int, account_id: int, amount_minor: int, bank_ref: str, now: int
) -> PostResult:
    """Money that a bank reports for a pupil, once per `bank_ref`; AMOUNT_RANGE unless it is above 0."""
    if not 0 < amount_minor <= MAX_MINOR:
        return PostResult(0, AMOUNT_RANGE)
    _keep(conn, school_id, [statements.Line(bank_ref, 0, amount_minor)], "", now)
    return _post(conn, school_id, [_entry(account_id, amount_minor, bank_ref, now)], now)[0][0]


def import_topups(conn: Connection, school_id: int, table: Table, now: int) -> Applied:
    """Apply topups.csv."""
    accounts = {account.external_id: account.account_id for account in people.accounts(conn, school_id)}
    problems = list(table.problems)
    lines: list[int] = []
    entries: list[Entry] = []
    for row in table.rows:
        try:
            entries.append(_entry_of(row.fields, accounts, now))
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        lines.append(row.line)
    results, changed = _post(conn, school_id, entries, now)
    said = [
        statements.Line(entry.reason, 0, entry.postings[1][1], line=line)
        for line, entry in zip(lines, entries, strict=True)
    ]
    other = {line.line for line in _keep(conn, school_id, said, table.file, now)}
    for line, result in zip(lines, results, strict=True):
        if line in other and not result.refusal:
            problems.append(table.problem(line, "bank_ref was given before with another amount"))
        elif result.refusal == KEY_REUSED:
            reason = "bank_ref was used before with another amount or pupil"
            problems.append(table.problem(line, reason))
        elif result.refusal:
            problems.append(table.problem(line, f"refused with number {result.refusal}"))
    good = sum(not result.refusal and line not in other for line, result in zip(lines, results, strict=True))
    return Applied(good, changed, sorted(problems))


def _entry_of(fields: dict[str, str], accounts: dict[str, int], now: int) -> Entry:
    account_id = accounts.get(text_of(fields, "student_id"))
    if account_id is None:
        raise Refused("unknown pupil")
    try:
        amount_minor = minor_from_text(fields["amount_rub"])
    except Fault as fault:
        raise Refused("amount_rub is no amount such as 500.00") from fault
    if amount_minor <= 0:
        raise Refused("amount_rub is not more than 0")
    return _entry(account_id, amount_minor, text_of(fields, "bank_ref"), now)


def _keep(
    conn: Connection, school_id: int, lines: Sequence[statements.Line], file: str, now: int
) -> list[statements.Line]:
    """Keep what the bank says, of the school's day of `now`; those that it had said otherwise."""
    day = SchoolTime(people.school(conn, school_id).time_zone, "ru").day(now)
    dated = [line._replace(day=day) for line in lines]
    return statements.keep(conn, school_id, statements.BANK, dated, file, now)[1]


def _entry(account_id: int, amount_minor: int, bank_ref: str, now: int) -> Entry:
    lines = ((BANK, -amount_minor), (purse(account_id), amount_minor))
    return Entry(f"bank:{bank_ref}", "topup", now, lines, reason=bank_ref)


def _post(
    conn: Connection, school_id: int, entries: Sequence[Entry], now: int
) -> tuple[list[PostResult], int]:
    """Post top-ups and offer what is new to the home tills; the results, and how many were new."""
    # Here and not above: devices asks the books for balances, so it imports this room.
    from cloud.devices import service as devices

    lock_school(conn, school_id)
    before = store.head(conn, school_id).entry_count
    results = post(conn, school_id, entries, now)
    new = {
        result.entry_id: entry
        for entry, result in zip(entries, results, strict=True)
        if result.entry_id > before
    }
    purses = {code for entry in new.values() for code, _amount in entry.postings if code != BANK}
    accounts = [int(code.removeprefix(PURSES), 16) for code in sorted(purses)]
    repay(conn, school_id, now, accounts)
    devices.offer_rights(conn, school_id, accounts, now)
    return results, len(new)
