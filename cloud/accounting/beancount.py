"""The books as a beancount file, so that a program that knows nothing of ours can check them.

Promises: every entry with its postings as they stand, in the order of the chain,
and at the end the cached balance of every account as an assertion; amounts keep
their sign.  No names: accounts are numbers.  Streams: memory does not grow with the books.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from cloud.accounting import store
from protocols.money import text_from_minor

PART = 5000
_ROOTS = {"world": "Equity", "loss": "Expenses", "debt": "Expenses"}
_ODD = re.compile(r"[^A-Za-z0-9-]")
_FIRST = date(1970, 1, 1)

Write = Callable[[str], Any]


def account_name(code: str) -> str:
    """A code as beancount spells accounts: `purse:0000abcd` is `Assets:Purse:0000abcd`."""
    parts = [_ODD.sub("-", part) or "0" for part in code.split(":")]
    root = _ROOTS.get(parts[0], "Assets")
    return ":".join([root, *(_capital(part) for part in parts)])


def _capital(part: str) -> str:
    return part[0].upper() + part[1:] if part[0] != "-" else f"0{part}"


def _quoted(text: str) -> str:
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _day(moment: int) -> date:
    return datetime.fromtimestamp(moment, tz=UTC).date()


def export(
    conn: Connection, school_id: int, write: Write, watch: Callable[[int, int], None] = lambda done, of: None
) -> int:
    """Write the whole books of a school as text; returns the number of entries.

    Days are those of UTC: the order of the chain is what counts.
    """
    codes = store.codes(conn, school_id)
    currency = store.school_words(conn, school_id).currency
    write(f'option "title" "KlassKart"\noption "operating_currency" "{currency}"\n\n')
    for _number, code in sorted(codes.items()):
        write(f"{_FIRST} open {account_name(code)} {currency}\n  code: {_quoted(code)}\n")
    names = {number: account_name(code) for number, code in codes.items()}
    last, count, latest = store.last_entry(conn, school_id), 0, _FIRST
    for after in range(0, last, PART):
        entries = store.chain_entries(conn, school_id, after, after + PART)
        postings = store.chain_postings(conn, school_id, after, after + PART)
        lines = {entry_id: list(group) for entry_id, group in groupby(postings, lambda line: line[0])}
        for row in entries:
            day = _day(row[3])
            latest = max(latest, day)
            write(_transaction(row, day, lines.get(row[0], []), names, currency))
        count += len(entries)
        watch(min(after + PART, last), last)
    cached = store.cached_balances(conn, school_id)
    for number in sorted(cached):
        amount = text_from_minor(cached[number])
        # Without a tolerance of its own beancount lets a balance be one kopeck off.
        write(f"\n{latest + timedelta(days=1)} balance {names[number]} {amount} ~ 0.00 {currency}")
    write("\n")
    return count


def _transaction(
    row: tuple[Any, ...], day: date, lines: list[tuple[Any, ...]], names: dict[int, str], currency: str
) -> str:
    entry_id, key, kind, reason, corrects, digest = row[0], row[1], row[2], row[8], row[9], row[10]
    text = [f"\n{day} * {_quoted(kind)} {_quoted(reason)}", f"  entry: {entry_id}", f"  key: {_quoted(key)}"]
    if corrects:
        text.append(f"  corrects: {_quoted(corrects)}")
    text.append(f'  hash: "{bytes(digest).hex()}"')
    text += [f"  {names[account]}  {text_from_minor(amount)} {currency}" for _entry, account, amount in lines]
    return "\n".join(text) + "\n"
