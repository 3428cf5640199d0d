"""One school, one day: what the devices wrote, what the books hold, what bank and caterer say.

Promises: it balances to zero or every differing record, entry and line is
named; mistakes that cancel each other are still two; a day is provisional until
every device that may hold records of it has closed it.  What is named while a
day is provisional is certain: only the caterer's total waits.  Nothing is
written, and the cost is that of the day, not of the history.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.formats import SchoolTime
from cloud.people import service as people
from cloud.reconciliation import compare, store
from cloud.reconciliation.bound import ASSUMPTIONS as ASSUMPTIONS
from cloud.reconciliation.bound import Bound as Bound
from cloud.reconciliation.bound import bound as bound
from cloud.reconciliation.compare import KINDS as KINDS
from cloud.reconciliation.compare import Booked, Item, Place, Sums
from cloud.statements import service as statements
from protocols.ledger.record import CLOSE_DAY

AGREES, PROVISIONAL, DIFFERS = "agrees", "provisional", "differs"
CLOSED, AWAITED, IDLE, ENDED = "closed", "awaited", "idle", "ended"
_BANK_KEYS = {"topup": "bank:", "payout": "payout:"}
_NAMED_OF_A_GAP = 20
_NOT_OF_THE_DAY = ("settlement", "payout", "release", "fund")
_EPOCH = date(1970, 1, 1).toordinal()


class DeviceDay(NamedTuple):
    """One device on the day: numbers and minor units.

    `state`: CLOSED (its CLOSE_DAY is in), AWAITED, IDLE (it wrote nothing that
    day and has gone on), ENDED (its epoch was closed: nothing more will come).
    `operations`: passages, sales, voids and refused taps; `sales`: portions sold, one for
    each unit of a good, less those taken back; `suspended`: sales that the rules refused.
    """

    device_id: int
    label: str
    kind: str
    state: str
    last_seen_at: int | None
    operations: int
    sales: int
    journal_minor: int
    books_minor: int
    suspended: int
    suspense_minor: int


class Payments(NamedTuple):
    """One side of the bank's statement: how many, and the sums of the books and of the bank.

    Minor units with the purses' sign: what goes back to parents is below 0.
    """

    number: int = 0
    books_minor: int = 0
    bank_minor: int = 0

    def more(self, books: int, bank: int) -> "Payments":
        """One more of them."""
        return Payments(self.number + 1, self.books_minor + books, self.bank_minor + bank)


class Reconciled(NamedTuple):
    """The day.  `corrections`: (entry_id, minor units) that people gave to or took from the caterer.

    `statement`: the caterer's line, None before it is in; `topups`, `payouts`: the
    day's payments, by the books and by the bank.
    """

    day: int
    devices: list[DeviceDay]
    items: list[Item]
    corrections: list[tuple[int, int]]
    statement: statements.Line | None
    topups: Payments
    payouts: Payments
    branch_minor: int

    @property
    def awaited(self) -> list[DeviceDay]:
        """The devices whose end of the day is not in yet."""
        return [one for one in self.devices if one.state == AWAITED]

    @property
    def ended(self) -> list[DeviceDay]:
        """Devices whose journal of the day may be lost for ever."""
        return [one for one in self.devices if one.state == ENDED]

    @property
    def sales(self) -> int:
        """Portions that the devices sold."""
        return sum(one.sales for one in self.devices)

    @property
    def journal_minor(self) -> int:
        """What the devices wrote that was sold, with what people corrected."""
        return sum(one.journal_minor for one in self.devices) + self.corrected_minor

    @property
    def books_minor(self) -> int:
        """What the books gave to the caterer for it."""
        return sum(one.books_minor for one in self.devices) + self.corrected_minor

    @property
    def corrected_minor(self) -> int:
        """The sum of the corrections."""
        return sum(amount for _entry, amount in self.corrections)

    @property
    def suspense_minor(self) -> int:
        """What waits for a person: refused sales and losing branches."""
        return sum(one.suspense_minor for one in self.devices) + self.branch_minor

    @property
    def difference_minor(self) -> int:
        """How much differs in all, each item without its sign."""
        return sum(item.amount_minor for item in self.items)

    @property
    def state(self) -> str:
        """DIFFERS when anything is named, else PROVISIONAL while somebody is awaited, else AGREES."""
        if self.items:
            return DIFFERS
        return PROVISIONAL if self.awaited else AGREES


def times(conn: Connection, school_id: int, language: str = "en") -> SchoolTime:
    """The calendar of a school."""
    return SchoolTime(people.school(conn, school_id).time_zone, language)


def usual_day(conn: Connection, school_id: int, today: int) -> int:
    """The newest day before today of which there are records, else today."""
    return store.last_day_before(conn, school_id, today) or today


def day_number(text: str) -> int:
    """Days since 1970-01-01 of `2026-09-01`; ValueError for any other text."""
    return statements.day_of(text)


def day_text(day: int) -> str:
    """`2026-09-01`."""
    return str(date.fromordinal(day + _EPOCH))


def reconcile(conn: Connection, school_id: int, day: int) -> Reconciled:
    """Compare the three sides of a day."""
    rows = store.money_records(conn, school_id, day)
    holders = store.holders(conn, school_id)
    labels = {holder.device_id: holder.label for holder in holders}
    by_place: dict[Place, list[Booked]] = defaultdict(list)
    for entry in compare.booked(store.entries_of_records(conn, school_id, day)):
        by_place[entry.place].append(entry)
    sums = compare.sums_of(rows, by_place)
    counts = {(row.device_id, row.epoch): row for row in store.operations(conn, school_id, day)}
    closes = {(row.device_id, row.epoch): row for row in rows if row.type == CLOSE_DAY}
    bounds = times(conn, school_id).day_bounds(day)
    others = compare.booked(store.other_entries(conn, school_id, *bounds))

    items = compare.differing(rows, by_place, labels)
    items += _without_record(others, labels)
    items += _gaps(conn, school_id, day, holders, counts, closes)
    topups, payouts, found = _payments(conn, school_id, day, others)
    items += found
    corrections = [
        (entry.entry_id, entry.caterer)
        for entry in others
        if entry.place[2] is None and entry.caterer and entry.kind not in _NOT_OF_THE_DAY
    ]
    branches = sum(entry.suspense for entry in others if _is_branch(entry))
    said = statements.of_day(conn, school_id, statements.CATERER, day)
    made = Reconciled(
        day, _devices(day, holders, sums, counts, closes), items, corrections,
        said[0] if said else None, topups, payouts, branches,
    )  # fmt: skip
    return made._replace(items=[*made.items, *_caterer(made)])


def _is_branch(entry: Booked) -> bool:
    return entry.external_key.startswith("fork:")


def _without_record(others: Sequence[Booked], labels: Mapping[int, str]) -> list[Item]:
    """Entries that name a record which is not there."""
    return [
        Item(
            compare.NO_RECORD, labels.get(entry.place[0], ""), *entry.place, entry.entry_id,
            right=entry.caterer + entry.suspense,
        )
        for entry in others
        if entry.place[2] is not None and not _is_branch(entry)
    ]  # fmt: skip


def _gaps(
    conn: Connection, school_id: int, day: int, holders: Sequence[Any], counts: Mapping[Any, Any],
    closes: Mapping[Any, Any],
) -> list[Item]:  # fmt: skip
    """Days that a device closed with other records than the cloud holds, or left without closing."""
    found: list[Item] = []
    for holder in holders:
        key = (holder.device_id, holder.epoch)
        count, close = counts.get(key), closes.get(key)
        number, last = (count.number, count.last) if count is not None else (0, 0)
        item = Item(compare.GAP, holder.label, *key, right=number)
        if close is None:
            if number and (holder.last_day or 0) > day:
                found.append(item._replace(kind=compare.NOT_CLOSED, seq=last))
        elif (close.amount, close.aux) != (number, last):
            item = item._replace(left=close.amount)
            missing = _missing(conn, school_id, day, key, close.aux)
            found += [item._replace(seq=seq) for seq in missing] or [item._replace(seq=close.seq)]
    return found


def _missing(conn: Connection, school_id: int, day: int, key: tuple[int, int], last: int) -> list[int]:
    """Numbers between the first record of a day and the last operation that its CLOSE_DAY names."""
    known = store.operation_numbers(conn, school_id, day, *key)
    if not known:
        return [last]
    return sorted(set(range(known[0], last + 1)) - set(known))[:_NAMED_OF_A_GAP]


def _payments(
    conn: Connection, school_id: int, day: int, others: Sequence[Booked]
) -> tuple[Payments, Payments, list[Item]]:
    """Top-ups, payouts, what differs; what both sides have counts on the bank's day.

    The bank calls a top-up by its own reference, a payout by `KEY:PART`, which its order carries.
    """
    posted = {entry.external_key: entry for entry in others if entry.kind in _BANK_KEYS}
    said = statements.of_day(conn, school_id, statements.BANK, day)
    lines = {_BANK_KEYS[_kind(line.amount_minor)] + line.key: line for line in said}
    unknown = [key for key in lines if key not in posted]
    named = posted | {
        entry.external_key: entry
        for entry in compare.booked(store.entries_by_key(conn, school_id, unknown))
    }  # fmt: skip
    unsaid = {key: _reference(entry) for key, entry in posted.items() if key not in lines}
    elsewhere = statements.by_key(conn, school_id, statements.BANK, list(unsaid.values()))
    found: list[Item] = []
    sides = dict.fromkeys(_BANK_KEYS, Payments())
    for key, line in lines.items():
        entry, kind = named.get(key), _kind(line.amount_minor)
        moved = entry.to("purse:") if entry is not None else 0
        sides[kind] = sides[kind].more(moved, line.amount_minor)
        if moved != line.amount_minor:
            what = compare.BANK_NO_ENTRY if entry is None else compare.BANK_AMOUNT
            found.append(_bank_item(what, line.key, entry, moved, line.amount_minor))
    for key, reference in unsaid.items():
        entry = posted[key]
        other = elsewhere.get(reference)
        if other is None or _kind(other.amount_minor) != entry.kind:
            moved = entry.to("purse:")
            sides[entry.kind] = sides[entry.kind].more(moved, 0)
            found.append(_bank_item(compare.NO_BANK_LINE, reference, entry, moved, 0))
    return sides["topup"], sides["payout"], found


def _kind(amount_minor: int) -> str:
    """The kind of entry that a line of the bank belongs to."""
    return "topup" if amount_minor > 0 else "payout"


def _reference(entry: Booked) -> str:
    """What the bank calls it."""
    return entry.external_key.removeprefix(_BANK_KEYS[entry.kind])


def _bank_item(kind: str, reference: str, entry: Booked | None, books: int, bank: int) -> Item:
    entry_id = None if entry is None else entry.entry_id
    return Item(kind, entry_id=entry_id, reference=reference, left=books, right=bank)


def _caterer(made: Reconciled) -> list[Item]:
    """The caterer's statement against the books, once nobody is awaited."""
    said = made.statement
    if said is None or made.awaited:
        return []
    found = []
    if said.amount_minor != made.books_minor:
        found.append(Item(compare.CATERER_TOTAL, left=made.books_minor, right=said.amount_minor))
    if said.portions is not None and said.portions != made.sales:
        found.append(Item(compare.CATERER_PORTIONS, left=made.sales, right=said.portions))
    return found


def _devices(
    day: int, holders: Sequence[Any], sums: Mapping[Any, Sums], counts: Mapping[Any, Any],
    closes: Mapping[Any, Any],
) -> list[DeviceDay]:  # fmt: skip
    """One line for each device that has, or may have, something of the day."""
    of_device: dict[int, DeviceDay] = {}
    for holder in holders:
        key = (holder.device_id, holder.epoch)
        state = _state(day, holder, key in counts, key in closes)
        if not state:
            continue
        part, count = sums.get(key, Sums()), counts.get(key)
        before = of_device.get(holder.device_id)
        line = DeviceDay(
            holder.device_id, holder.label, holder.kind, state, holder.last_seen_at,
            0 if count is None else count.number, part.sales, part.journal, part.books, part.suspended,
            part.suspense,
        )  # fmt: skip
        if before is not None:
            total = [one + other for one, other in zip(before[5:], line[5:], strict=True)]
            worst = min(before.state, line.state, key=(AWAITED, ENDED, CLOSED, IDLE).index)
            line = DeviceDay(*line[:3], worst, line.last_seen_at, *total)
        of_device[holder.device_id] = line
    return list(of_device.values())


def _state(day: int, holder: Any, has_records: bool, is_closed: bool) -> str:
    """How a holder stands to the day, "" when it has nothing to do with it."""
    if is_closed:
        return CLOSED
    last_day = holder.last_day
    if last_day is not None and last_day > day:
        # The days of a journal never go back: nothing of this day is on its way.
        return CLOSED if has_records else IDLE
    if holder.status != "open":
        return ENDED if last_day == day else ""
    if last_day is None and holder.last_seen_at is None:
        return ""  # it has never been on
    return AWAITED
