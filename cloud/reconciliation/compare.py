"""Compares the records of a day with their entries, one by one, and names each that differs.

Promises: every SALE has one entry over its amount, to a caterer when it was
accepted and to suspense when it was refused, at the cost of its own account;
every accepted VOID takes its sale back from there.  Pure: rows in, findings out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from protocols.ids import hex8
from protocols.ledger.record import SALE, VOID

Place = tuple[int, int, int]
"""device_id, epoch, seq"""

NO_ENTRY, TWO_ENTRIES, NO_RECORD = "no_entry", "two_entries", "no_record"
AMOUNT, ACCOUNT = "amount", "account"
GAP, NOT_CLOSED = "gap", "not_closed"
BANK_NO_ENTRY, NO_BANK_LINE, BANK_AMOUNT = "bank_no_entry", "no_bank_line", "bank_amount"
CATERER_TOTAL, CATERER_PORTIONS = "caterer_total", "caterer_portions"
KINDS = (
    NO_ENTRY, TWO_ENTRIES, NO_RECORD, AMOUNT, ACCOUNT, GAP, NOT_CLOSED, BANK_NO_ENTRY, NO_BANK_LINE,
    BANK_AMOUNT, CATERER_TOTAL, CATERER_PORTIONS,
)  # fmt: skip

_CATERER, _SUSPENSE = "caterer:", "suspense:"
_OF_PUPILS = ("purse:", "credit:", "benefit:")


class Item(NamedTuple):
    """One thing that differs.

    `kind`: one of KINDS; a record by device, epoch and seq; `entry_id` in the
    books; `reference` of the bank; `left` is what the first column says and
    `right` the second, in minor units, portions or operations.
    """

    kind: str
    device_label: str = ""
    device_id: int | None = None
    epoch: int | None = None
    seq: int | None = None
    entry_id: int | None = None
    reference: str = ""
    left: int = 0
    right: int = 0

    @property
    def is_money(self) -> bool:
        """Whether `left` and `right` are minor units."""
        return self.kind not in (GAP, NOT_CLOSED, CATERER_PORTIONS)

    @property
    def amount_minor(self) -> int:
        """How far the two sides are apart, without a sign; 0 where nobody knows."""
        if not self.is_money:
            return 0
        return abs(self.left) if self.kind == ACCOUNT else abs(self.left - self.right)


class Booked(NamedTuple):
    """An entry with its postings as (code, amount).  `place`: its record, or three times None."""

    entry_id: int
    external_key: str
    kind: str
    place: tuple[Any, Any, Any]
    reason: str
    postings: list[tuple[str, int]]

    def to(self, prefix: str) -> int:
        """What it moves to accounts whose code begins so."""
        return sum(amount for code, amount in self.postings if code.startswith(prefix))

    @property
    def caterer(self) -> int:
        """What it gives to caterers."""
        return self.to(_CATERER)

    @property
    def suspense(self) -> int:
        """What it puts into suspense."""
        return self.to(_SUSPENSE)


def booked(rows: Iterable[Any]) -> list[Booked]:
    """Entries of rows of postings."""
    found: dict[int, Booked] = {}
    for row in rows:
        entry = found.get(row.entry_id)
        if entry is None:
            place = (row.device_id, row.epoch, row.seq)
            entry = found[row.entry_id] = Booked(
                row.entry_id, row.external_key, row.kind, place, row.reason, []
            )
        if row.code is not None:
            entry.postings.append((row.code, row.amount_minor))
    return list(found.values())


class Sums:
    """What one journal comes to on a day: minor units, portions sold, and sales that were suspended."""

    def __init__(self) -> None:
        self.sales = self.journal = self.books = 0
        self.suspended = self.suspense = 0

    def add_record(self, row: Any, sale: Any) -> None:
        """Count a SALE, or the VOID of `sale`."""
        if row.type == VOID and (row.refusal or sale is None):
            return
        sign = 1 if row.type == SALE else -1
        source = row if row.type == SALE else sale
        if source.refusal:
            if row.amount > 0:
                self.suspended += sign
                self.suspense += sign * row.amount
        else:
            self.sales += sign * source.portions
            self.journal += sign * row.amount


def sums_of(rows: Sequence[Any], entries: Mapping[Place, list[Booked]]) -> dict[tuple[int, int], Sums]:
    """(device_id, epoch) to what its records and their entries come to."""
    sales = _sales(rows)
    found: dict[tuple[int, int], Sums] = {}
    for row in rows:
        if row.type in (SALE, VOID):
            sums = found.setdefault((row.device_id, row.epoch), Sums())
            sums.add_record(row, sales.get((row.device_id, row.epoch, row.aux)))
            for entry in entries.get((row.device_id, row.epoch, row.seq), ()):
                sums.books += entry.caterer
    return found


def differing(
    rows: Sequence[Any], entries: Mapping[Place, list[Booked]], labels: Mapping[int, str]
) -> list[Item]:
    """Every record of money whose entry is missing or says something else."""
    sales = _sales(rows)
    found: list[Item] = []
    for row in rows:
        place = (row.device_id, row.epoch, row.seq)
        if row.type == SALE:
            sign, source = 1, row
        elif row.type == VOID:
            sign, source = -1, sales.get((row.device_id, row.epoch, row.aux))
        else:
            continue
        is_due = row.amount > 0 and source is not None and (row.type == SALE or not row.refusal)
        own = entries.get(place, [])
        item = Item("", labels.get(row.device_id, ""), *place, left=sign * row.amount if is_due else 0)
        if not own:
            if is_due:
                found.append(item._replace(kind=NO_ENTRY))
            continue
        item = item._replace(entry_id=own[0].entry_id)
        if len(own) > 1:
            # A correction may name the record too; a second sale of it may not.
            kinds = [entry.kind for entry in own]
            if kinds.count(own[0].kind) > 1:
                found.append(item._replace(kind=TWO_ENTRIES, right=sum(map(_moved, own)), entry_id=own[1][0]))
                continue
        found += _differing(item, own[0], row, source)
    return found


def _differing(item: Item, entry: Booked, row: Any, source: Any) -> list[Item]:
    moved = _moved(entry)
    if moved != item.left:
        return [item._replace(kind=AMOUNT, right=moved)]
    is_suspended = source is not None and bool(source.refusal)
    goes_right = entry.suspense == moved if is_suspended else entry.caterer == moved
    pupils = {code.split(":")[1] for code, _amount in entry.postings if code.startswith(_OF_PUPILS)}
    if not goes_right or pupils - {hex8(row.account_id)}:
        return [item._replace(kind=ACCOUNT, right=moved)]
    return []


def _moved(entry: Booked) -> int:
    """What an entry gives to caterers and suspense together."""
    return entry.caterer + entry.suspense


def _sales(rows: Sequence[Any]) -> dict[Place, Any]:
    return {(row.device_id, row.epoch, row.seq): row for row in rows if row.type == SALE}
