"""Whether the books are what they were: the chain, the sums, the caches, the records behind the sales.

Promises: one pass over the entries in the order of the chain, in parts, so that
memory does not grow with the books; the first entry that differs is named, and
those behind it are still judged by the hashes that stand there.  Reads only,
but for check_next(), which keeps how far it came.  Leaves repair to people:
nothing here changes a line.
"""

from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.accounting.books import BENEFITS, CREDITS, PURSES, credit, purse
from cloud.accounting.chain import HEAD, NO_RECORD, Head, genesis
from cloud.accounting.movements import escrow
from cloud.memory import collecting_later
from protocols.ids import hex8
from protocols.ledger.record import MEAL_CREDIT, MONEY, SALE, VOID

PART, NEXT = 2_000, 10_000
"""Entries that are in memory at a time, and those of one check_next()."""
DIFFERENCES_MAX = 20

Watch = Callable[[int, int], None]
"""Told how many entries are checked, and of how many."""

_AMOUNT = Struct("<q")
_CODE_SIZE = Struct("<I")
_RECORD = Struct("<B3xI4xIi12x")
_CRC_OF_ALL = 0x2144DF1C
"""What crc32 gives for any bytes with their own crc32 behind them, least byte first."""
_FOR_GOODS = ("caterer:", "suspense:")
_WITH_RECORD = {"sale": SALE, "reversal": VOID}


class Difference(NamedTuple):
    """One thing that is not as it must be; `entry_id` 0 when it is not one entry's.

    `what`: chain, sum, order, record, head, balance, counters, escrow, movements or free.
    """

    what: str
    entry_id: int
    detail: str

    def __str__(self) -> str:
        place = f"entry {self.entry_id}: " if self.entry_id else ""
        return f"{place}{self.what}: {self.detail}"


class Checked(NamedTuple):
    """What was read, and up to DIFFERENCES_MAX differences, entries first and in the order of the chain."""

    entries: int
    postings: int
    movements: int
    head: Head
    differences: list[Difference]


class Walk:
    """One pass over a school's entries from a known place in the chain."""

    def __init__(self, conn: Connection, school_id: int, start: Head) -> None:
        self._conn = conn
        self._school = school_id
        self.codes = store.codes(conn, school_id)
        self._tails = {
            number: _CODE_SIZE.pack(len(code.encode())) + code.encode() for number, code in self.codes.items()
        }
        self._purses = {
            number: int(code.split(":")[1], 16)
            for number, code in self.codes.items()
            if code.startswith((PURSES, CREDITS, BENEFITS))
        }
        self._sold = {number for number, code in self.codes.items() if code.startswith(_FOR_GOODS)}
        self.head = start
        self.postings = 0
        self.sums: defaultdict[int, int] = defaultdict(int)
        """ledger_account_id to the sum of the postings that were passed."""
        self.differences: list[Difference] = []

    def differ(self, what: str, entry_id: int, detail: str) -> None:
        """Note a difference while there is room."""
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(Difference(what, entry_id, detail))

    def part(self, until: int) -> None:
        """Check the entries behind the head up to entry_id `until`."""
        after, last = self.head
        entries = store.chain_entries(self._conn, self._school, after, until)
        postings = store.chain_postings(self._conn, self._school, after, until)
        self._add(postings)
        tails, pack, head_of = self._tails, _AMOUNT.pack, HEAD.pack
        packed = [pack(amount) + tails[account] for _entry, account, amount in postings]
        at, size, expected = 0, len(postings), after
        for row in entries:
            entry_id, key, kind, happened_at, posted_at, device_id, epoch, seq, reason, corrects, stored = (
                row[:11]
            )
            expected += 1
            if entry_id != expected:
                self.differ("order", entry_id, f"stands where entry {expected} is missing")
                expected = entry_id
            start, total = at, 0
            while at < size and postings[at][0] == entry_id:
                total += postings[at][2]
                at += 1
            # chain.entry_bytes(), with the codes of the accounts packed beforehand.
            key, kind, reason, corrects = key.encode(), kind.encode(), reason.encode(), corrects.encode()
            head = head_of(
                entry_id, happened_at, posted_at,
                NO_RECORD if device_id is None else device_id, NO_RECORD if epoch is None else epoch,
                NO_RECORD if seq is None else seq,
                len(key), len(kind), len(reason), len(corrects), at - start,
            )  # fmt: skip
            content = b"".join((last, head, key, kind, reason, corrects, *packed[start:at]))
            if sha256(content).digest() != stored:
                self.differ("chain", entry_id, "its hash does not follow from what stands there")
            if total or at == start:
                detail = f"postings add up to {total}" if at > start else "has no postings"
                self.differ("sum", entry_id, detail)
            last = stored
            if device_id is not None and row[2] in _WITH_RECORD:
                self._record(row, postings[start:at])
        if at != size:
            self.differ("order", postings[at][0], "has postings but is no entry")
        if entries:
            self.head = Head(entries[-1][0], bytes(last))

    def _add(self, postings: list[tuple[Any, ...]]) -> None:
        self.postings += len(postings)
        sums = self.sums
        for _entry, account, amount in postings:
            sums[account] += amount

    def _record(self, row: tuple[Any, ...], lines: list[tuple[Any, ...]]) -> None:
        """The record that an entry names says the same."""
        entry_id, kind, seq, raw, account_id, amount = row[0], row[2], row[7], row[11], row[12], row[13]
        if raw is None:
            self.differ("record", entry_id, "its record is not there")
            return
        its_type, its_seq, its_account, its_amount = _RECORD.unpack(raw)
        moved = 0
        is_foreign = account_id != its_account
        for _entry, account, change in lines:
            if account in self._sold:
                moved += change
            is_foreign |= self._purses.get(account, its_account) != its_account
        if crc32(raw) != _CRC_OF_ALL:
            self.differ("record", entry_id, "the bytes of its record are damaged")
        elif its_type != _WITH_RECORD[kind] or its_seq != seq:
            self.differ("record", entry_id, "its record is of another kind or number")
        elif not abs(moved) == its_amount == amount:
            self.differ("record", entry_id, f"amount {abs(moved)}, the record's bytes say {its_amount}")
        elif is_foreign:
            self.differ("record", entry_id, f"its postings are not of account {hex8(its_account)}")


def check(conn: Connection, school_id: int, watch: Watch = lambda done, of: None) -> Checked:
    """Check the whole books of a school; the connection should be a snapshot."""
    walk = Walk(conn, school_id, Head(0, genesis(school_id)))
    last = store.last_entry(conn, school_id)
    with collecting_later():
        for until in range(PART, last + PART, PART):
            walk.part(until)
            watch(min(until, last), last)
    _check_head(conn, school_id, walk)
    _check_balances(conn, school_id, walk)
    count = _check_pending(conn, school_id, walk)
    _check_free(conn, school_id, walk)
    return Checked(walk.head.entry_count, walk.postings, count, walk.head, walk.differences)


def _check_head(conn: Connection, school_id: int, walk: Walk) -> None:
    head = store.head(conn, school_id)
    if head != walk.head:
        walk.differ(
            "head", 0,
            f"{head.entry_count} entries, {head.hash.hex()[:16]}; the entries lead to"
            f" {walk.head.entry_count}, {walk.head.hash.hex()[:16]}",
        )  # fmt: skip


def _check_balances(conn: Connection, school_id: int, walk: Walk) -> None:
    cached = store.cached_balances(conn, school_id)
    for account in sorted(cached.keys() | walk.sums.keys()):
        posted, kept = walk.sums.get(account, 0), cached.get(account, 0)
        if posted != kept:
            code = walk.codes.get(account, str(account))
            walk.differ("balance", 0, f"{code}: postings {posted}, balance {kept}")
    if total := sum(walk.sums.values()):
        walk.differ("sum", 0, f"all postings add up to {total}")


def _check_pending(conn: Connection, school_id: int, walk: Walk) -> int:
    for device_id, epoch, account_id, bucket in store.differing_counters(conn, school_id):
        place = f"{escrow(device_id, epoch)} account {hex8(account_id)} bucket {bucket}"
        walk.differ("counters", 0, f"{place}: not the sum of its movements")
    for device_id, epoch, source in store.differing_pending(conn, school_id):
        walk.differ("escrow", 0, f"{escrow(device_id, epoch, source)}: not what is out")
    count, last = store.movements_there(conn, school_id)
    head = store.movement_count(conn, school_id)
    if not count == last == head:
        walk.differ("movements", 0, f"{count} movements, the last is {last}, the head says {head}")
    return count


def _check_free(conn: Connection, school_id: int, walk: Walk) -> None:
    """No purse has more out than it holds; while a school recovers, grants may be known only by devices."""
    # Here and not above: devices asks the books for balances, so it imports this room.
    from cloud.devices import service as devices

    if store.is_recovering(conn, school_id):
        return
    rules = devices.money_rules(conn, school_id)
    balances = {code: walk.sums.get(number, 0) for number, code in walk.codes.items()}
    of_bucket = ((MONEY, rules.slack_minor, purse), (MEAL_CREDIT, rules.credit_highest_minor, credit))
    for bucket, slack, code in of_bucket:
        for account_id, amount in store.out(conn, school_id, bucket):
            free = balances.get(code(account_id), 0) + slack - amount
            if free < 0:
                walk.differ("free", 0, f"{code(account_id)}: {-free} more is out than it holds")


def check_next(conn: Connection, school_id: int, now: int, limit: int = NEXT) -> Checked:
    """Check up to `limit` entries behind those that were checked before, and keep how far it came.

    Cheap enough to be called again and again: what it costs grows with what is
    new.  At a difference it stays where it is, so that the difference is told
    every time until somebody has looked at it.
    """
    known = store.checked(conn, school_id)
    start = Head(0, genesis(school_id)) if known is None else Head(known.entry_count, bytes(known.hash))
    walk = Walk(conn, school_id, start)
    last = store.last_entry(conn, school_id)
    if last < start.entry_count:
        walk.differ("head", 0, f"{last} entries, {start.entry_count} were checked before")
    until = min(last, start.entry_count + limit)
    walk.part(until)
    if until == last:
        _check_head(conn, school_id, walk)
        if total := sum(store.cached_balances(conn, school_id).values()):
            walk.differ("sum", 0, f"all balances add up to {total}")
    first = str(walk.differences[0]) if walk.differences else ""
    store.set_checked(conn, school_id, start if first else walk.head, now, first)
    return Checked(walk.head.entry_count - start.entry_count, walk.postings, 0, walk.head, walk.differences)


def unchecked(conn: Connection, school_id: int) -> int:
    """How many entries check_next() has not seen yet; one small read."""
    known = store.checked(conn, school_id)
    return store.head(conn, school_id).entry_count - (0 if known is None else int(known.entry_count))
