"""The books as other rooms use them: post() and everything the books can tell.

Promises: amounts are integers of minor units; a purse above zero is the parents'
money; cached balances equal the sums of the postings.
Leaves to others: whether a sale was allowed (ingest), who may see a line.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.accounting.beancount import export as export_beancount
from cloud.accounting.books import (
    BANK,
    CATERER,
    CLAIM,
    PURSES,
    SUSPENSE_RULE,
    Entry,
    PostResult,
    RefusedEntry,
    post,
    purse,
    refused_entries,
)
from cloud.accounting.chain import Head
from cloud.accounting.check import Checked, Difference, Watch, check, check_next, unchecked
from cloud.accounting.movements import (
    BY_NEED,
    BY_OFFER,
    BY_RECORD,
    BY_TABLE,
    CLAIMED,
    SPENT,
    Movement,
    escrow,
    grant,
    move,
    pending,
)
from cloud.accounting.proof import Proof, prove
from cloud.accounting.story import (
    HistoryLine,
    NoSuchEntry,
    Sales,
    entries_of_record,
    explain,
    history,
    sales,
)
from cloud.accounting.topups import TOPUP_COLUMNS, import_topups, top_up

__all__ = [
    "BANK",
    "BY_NEED",
    "BY_OFFER",
    "BY_RECORD",
    "BY_TABLE",
    "CATERER",
    "CLAIM",
    "CLAIMED",
    "PURSES",
    "SPENT",
    "SUSPENSE_RULE",
    "TOPUP_COLUMNS",
    "Checked",
    "Difference",
    "Entry",
    "Head",
    "HistoryLine",
    "Movement",
    "NoSuchEntry",
    "PostResult",
    "Proof",
    "RefusedEntry",
    "Sales",
    "Watch",
    "check",
    "check_next",
    "entries_of_record",
    "escrow",
    "explain",
    "export_beancount",
    "grant",
    "history",
    "import_topups",
    "move",
    "pending",
    "post",
    "prove",
    "purse",
    "refused_entries",
    "sales",
    "top_up",
    "unchecked",
]


def balances(conn: Connection, school_id: int, codes: Iterable[str]) -> dict[str, int]:
    """Balance of each account in minor units, 0 for one that has never moved."""
    wanted = list(codes)
    found = store.balances(conn, school_id, wanted)
    return {code: found.get(code, 0) for code in wanted}


def balances_of_kind(conn: Connection, school_id: int, prefix: str) -> dict[str, int]:
    """Every account whose code starts with `prefix`, such as PURSES."""
    return {row.code: row.amount_minor for row in store.balances_of_kind(conn, school_id, prefix)}


def head(conn: Connection, school_id: int) -> Head:
    """The number of entries and the hash of the last: what leaves the database as a witness."""
    return store.head(conn, school_id)


def books_sum(conn: Connection, school_id: int) -> int:
    """The sum of all postings of a school: 0, or the books are broken.  Reads all postings."""
    return sum(row[1] for row in store.sums(conn, school_id))


def differing_balances(conn: Connection, school_id: int) -> list[tuple[str, int, int]]:
    """(code, sum of postings, cached balance) wherever the two differ.  Reads all postings."""
    return [(row[0], row[1], row[2]) for row in store.sums(conn, school_id) if row[1] != row[2]]


def is_posted(conn: Connection, school_id: int, external_key: str) -> bool:
    """Whether an entry with this external key is in the books."""
    return bool(store.entries_by_key(conn, school_id, [external_key]))
