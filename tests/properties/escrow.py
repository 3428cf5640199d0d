"""Tills with the real holder's rules and a parent with the real parent's rules; all that they keep is dicts.

A key is (account, bucket): money, meal credit and one benefit.  The parent can
be set back to an older state, with its archive of grants or without.
"""

from copy import deepcopy
from typing import NamedTuple

from protocols import errors
from protocols.ledger import parent, record
from protocols.ledger.holder import NONE, Counters, Holder, may_void, rights

CAP = 1000
CAP_DEVICE = 1 << 30
TILLS = (0, 1)
ACCOUNT = 11
DAY = 20000
MEAL = 2
BENEFIT = record.benefit_bucket(DAY, MEAL)
SLACK = {record.MONEY: 0, record.MEAL_CREDIT: 200, BENEFIT: 0}
FLAGS = {
    record.MONEY: record.SALE_SINGLE,
    record.MEAL_CREDIT: record.SALE_SINGLE | record.FROM_CREDIT,
    BENEFIT: record.SALE_SINGLE | record.FROM_BENEFIT | MEAL << record.SALE_MEAL_SHIFT,
}
Key = tuple[int, int]
KEYS: list[Key] = [(ACCOUNT, bucket) for bucket in SLACK]


class Message(NamedTuple):
    """GRANT or RECALL: a total for one till under a key, and the incarnation that said it."""

    kind: int
    till: int
    key: Key
    total: int
    incarnation: int


class Packet(NamedTuple):
    """Records of a till's journal as they were sent, from seq `first`."""

    till: int
    first: int
    records: tuple[record.Record, ...]


class Store:
    """A holder's counters in a dict."""

    def __init__(self) -> None:
        self.rows: dict[Key, Counters] = {}

    def get(self, account: int, bucket: int) -> Counters:
        return self.rows.get((account, bucket), NONE)

    def put(self, account: int, bucket: int, counters: Counters) -> None:
        self.rows[account, bucket] = counters


class Till:
    """A device: its journal is a list, and the holder follows it."""

    def __init__(self) -> None:
        self.journal: list[record.Record] = []
        self.incarnation = 0
        self.boot()

    def boot(self) -> None:
        """All that is not the journal is forgotten and found again."""
        self.holder = Holder(Store(), CAP)
        for item in self.journal:
            self.holder.apply(item)

    def counters(self, key: Key) -> Counters:
        return self.holder._store.get(*key)

    def write(self, kind: int, flags: int, account: int, amount: int, aux: int) -> None:
        item = record.Record(kind, flags, DAY, len(self.journal) + 1, 0, account, amount, aux)
        self.journal.append(item)
        self.holder.apply(item)

    def obeys(self, incarnation: int) -> bool:
        """Whether it listens; the first message of a higher incarnation is journaled."""
        if incarnation > self.incarnation:
            self.incarnation = incarnation
            self.write(record.INCARN, 0, 0, 0, incarnation)
        return incarnation == self.incarnation

    def take(self, message: Message) -> None:
        if not self.obeys(message.incarnation):
            return
        due = self.due(message)
        if due is not None:
            self.write(message.kind, 0, message.key[0], due, message.key[1])

    def due(self, message: Message) -> int | None:
        """The total to journal."""
        rule = self.holder.grant_due if message.kind == record.GRANT else self.holder.return_due
        return rule(*message.key, message.total)

    def sell(self, key: Key, price: int) -> int:
        """Units of the key that were used."""
        units = 1 if key[1] == BENEFIT else price
        if self.refusal(key, units):
            return 0
        self.write(record.SALE, FLAGS[key[1]], key[0], price, 0)
        return units

    def refusal(self, key: Key, units: int) -> int:
        """Why nothing is sold."""
        return self.holder.may_spend(*key, units)

    def void(self, sale: record.Record) -> int:
        """Units that came back: what is above CAP goes to the parent first, as firmware does it."""
        item = record.Record(
            record.VOID, sale.flags, DAY, len(self.journal) + 1, 0, sale.account, sale.amount, sale.seq
        )
        if may_void(sale, item, self.is_voided(sale.seq)):
            return 0
        units, bucket = record.units_of(sale), record.bucket_of(sale)
        excess = self.excess(sale.account, bucket, units)
        if excess is not None:
            self.write(record.RETURN, 0, sale.account, excess, bucket)
        self.write(record.VOID, sale.flags, sale.account, sale.amount, sale.seq)
        return int(units)

    def excess(self, account: int, bucket: int, units: int) -> int | None:
        return self.holder.excess_due(account, bucket, units)

    def sales(self) -> list[record.Record]:
        return [item for item in self.journal if item.type == record.SALE]

    def is_voided(self, seq: int) -> bool:
        return any(item.type == record.VOID and item.aux == seq for item in self.journal)


class Parent:
    """The granter: what it knows of each till, and what it said.

    `journaled`: the highest G that a till wrote down; `waiting`: units of sales
    that the rules refused, which wait for a person; `refused`: numbers so far.
    """

    def __init__(self) -> None:
        self.known: dict[tuple[int, Key], Counters] = {}
        self.journaled: dict[tuple[int, Key], int] = {}
        self.sales: dict[tuple[int, int], tuple[record.Record, int]] = {}
        self.voided: set[tuple[int, int]] = set()
        self.waiting: dict[Key, int] = dict.fromkeys(KEYS, 0)
        self.next_seq = dict.fromkeys(TILLS, 1)
        self.seen_incarnation = dict.fromkeys(TILLS, 0)
        self.incarnation = 0
        self.refused: set[int] = set()

    def counters(self, till: int, key: Key) -> Counters:
        return self.known.get((till, key), NONE)

    def is_recovering(self) -> bool:
        return min(self.seen_incarnation.values()) < self.incarnation

    def out(self, key: Key) -> int:
        """What is reserved: rights, and what only a till says that it was granted."""
        return sum(rights(self.counters(till, key)) + self.claim(till, key) for till in TILLS)

    def claim(self, till: int, key: Key) -> int:
        return max(0, self.journaled.get((till, key), 0) - self.counters(till, key).granted)

    def used(self, key: Key) -> int:
        """S - V of the sales that the rules took."""
        mine = [self.counters(till, key) for till in TILLS]
        return int(sum(each.spent - each.voided for each in mine))

    def free(self, key: Key, income: int) -> int:
        return parent.free(income - self.used(key), SLACK[key[1]], self.out(key))

    def payable(self, key: Key, wanted: int, income: int) -> int:
        """How much of `wanted` may leave the key for good."""
        return 0 if self.is_recovering() else parent.payable(wanted, income - self.used(key), self.out(key))

    def grant(self, till: int, key: Key, wanted: int, income: int) -> int:
        """The G total after granting as much of `wanted` as may be."""
        counters = self.counters(till, key)
        more = 0
        if not self.is_recovering():
            held = rights(counters)
            more = parent.grantable(wanted, self.free(key, income), held, CAP, CAP_DEVICE)
        self.known[till, key] = counters._replace(granted=counters.granted + more)
        return int(counters.granted + more)

    def read(self, packet: Packet) -> None:
        """Records in the order of their journal; what came before is passed over, a gap waits."""
        for item in packet.records:
            if item.seq == self.next_seq[packet.till]:
                self.next_seq[packet.till] += 1
                self.replay(packet.till, item)

    def replay(self, till: int, item: record.Record) -> None:
        if item.type == record.INCARN:
            self.seen_incarnation[till] = max(self.seen_incarnation[till], item.aux)
            return
        trades = item.type in (record.SALE, record.VOID)
        key = item.account, record.bucket_of(item) if trades else item.aux
        sale, refused = self.sales.get((till, item.aux), (None, errors.OK))
        named = None if refused else sale
        refusal, after = parent.replay(self.counters(till, key), item, named, (till, item.aux) in self.voided)
        self.refused.add(refusal)
        if item.type == record.SALE:
            self.sales[till, item.seq] = item, refusal
            self.waiting[key] += record.units_of(item) if refusal else 0
        elif item.type == record.VOID and refused:
            self.waiting[key] -= record.units_of(item)
        elif item.type == record.VOID and not refusal:
            self.voided.add((till, item.aux))
        if item.type == record.GRANT:
            self.journal_grant(till, key, item.amount)
        elif not refusal:
            self.known[till, key] = after

    def journal_grant(self, till: int, key: Key, total: int) -> None:
        """What nobody gave is reserved, and authorises nothing."""
        self.journaled[till, key] = max(self.journaled.get((till, key), 0), total)

    def restored(self, backup: "Parent", archive: dict[tuple[int, Key], int]) -> "Parent":
        """The parent that begins anew from a backup and the G totals of the archive."""
        made = deepcopy(backup)
        made.incarnation = self.incarnation + 1
        for (till, key), total in archive.items():
            counters = made.counters(till, key)
            made.known[till, key] = counters._replace(granted=max(counters.granted, total))
        return made
