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
    BENEFITS,
    CATERER,
    CLAIM,
    CREDITS,
    LOST_CARDS,
    PURSES,
    SUSPENSE_RULE,
    Entry,
    PostResult,
    RefusedEntry,
    credit,
    post,
    purse,
    refused_entries,
)
from cloud.accounting.chain import Head
from cloud.accounting.check import Checked, Difference, Watch, check, check_next, unchecked
from cloud.accounting.credit import debts, repay, uncovered
from cloud.accounting.movements import (
    BY_EXPIRY,
    BY_NEED,
    BY_OFFER,
    BY_RECORD,
    BY_TABLE,
    CLAIMED,
    RETURNED,
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
    "BENEFITS",
    "BY_EXPIRY",
    "BY_NEED",
    "BY_OFFER",
    "BY_RECORD",
    "BY_TABLE",
    "CATERER",
    "CLAIM",
    "CLAIMED",
    "CREDITS",
    "LOST_CARDS",
    "PURSES",
    "RETURNED",
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
    "credit",
    "debts",
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
    "repay",
    "sales",
    "top_up",
    "unchecked",
    "uncovered",
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


def is_recovering(conn: Connection, school_id: int) -> bool:
    """Whether the books of a school wait for the journals of its devices after a restore."""
    return store.is_recovering(conn, school_id)


def is_posted(conn: Connection, school_id: int, external_key: str) -> bool:
    """Whether an entry with this external key is in the books."""
    return bool(store.entries_by_key(conn, school_id, [external_key]))


def lines_of(
    conn: Connection, school_id: int, external_keys: Iterable[str]
) -> dict[str, list[tuple[str, int]]]:
    """external_key to the postings of its entry, (code, minor units), of those that are in the books."""
    numbers = store.entries_by_key(conn, school_id, list(external_keys))
    found = store.contents(conn, school_id, numbers.values())
    return {key: found[number][1] for key, number in numbers.items()}


def undoing(
    conn: Connection, school_id: int, external_key: str, *, with_reversals: bool = False
) -> list[tuple[str, int]]:
    """The postings that take an entry back, with every re-rating of it; empty when it is not there.

    `with_reversals`: what was taken back of it before counts too, so that nothing comes back twice.
    """
    numbers = store.entries_by_key(conn, school_id, [external_key])
    if not numbers:
        return []
    corrected = [row.entry_id for row in store.correcting(conn, school_id, [external_key])]
    found = store.contents(conn, school_id, [*numbers.values(), *corrected])
    kinds = ("rerate", "reversal") if with_reversals else ("rerate",)
    return [
        (code, -amount)
        for row, postings in found.values()
        if row.external_key == external_key or row.kind in kinds
        for code, amount in postings
    ]


def taken_back(conn: Connection, school_id: int, external_keys: Iterable[str]) -> set[str]:
    """Those of these external keys whose entries were taken back, by a void or by a person."""
    rows = store.correcting(conn, school_id, list(external_keys))
    return {row.corrects for row in rows if row.kind == "reversal"}


def standing(conn: Connection, school_id: int, external_keys: Iterable[str]) -> dict[str, bool]:
    """Of those of these entries that are in the books: whether what they correct was not taken back since."""
    numbers = store.entries_by_key(conn, school_id, list(external_keys))
    if not numbers:
        return {}
    found = store.contents(conn, school_id, numbers.values())
    corrected = {key: found[number][0].corrects for key, number in numbers.items()}
    gone = taken_back(conn, school_id, {of for of in corrected.values() if of})
    return {key: of not in gone for key, of in corrected.items()}
