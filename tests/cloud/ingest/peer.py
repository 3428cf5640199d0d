"""A device made of paper: it speaks the protocol byte for byte and decides nothing by itself."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Connection, Engine

from cloud import bulk, db
from cloud.accounting import service as accounting
from cloud.archive import Archive
from cloud.devices import service as devices
from cloud.ingest.service import Incoming, Ingest, Outgoing
from cloud.keys import Vault
from cloud.people import service as people
from protocols.ledger import basket, record
from protocols.mac import DeviceKeys, Hmac
from protocols.wire import envelope, messages, topics
from tests.cloud.schools import add_goods, add_pupils, add_school, reference

DAY = 20_000
NOON = DAY * 86_400 + 9 * 3600
NIGHT = (DAY + 1) * 86_400
BREAKFAST, LUNCH = 1, 2
PRICES = {BREAKFAST: 8500, LUNCH: 14000}


class Peer:
    """One device: its journal as a list, its chain, and what it was told.

    `is_limited`: its school limits weak cards and all cards here are, so sales from money say so.
    """

    def __init__(self, provision: dict[str, Any]) -> None:
        self.school: int = provision["school"]
        self.device: int = provision["device"]
        self.epoch: int = provision["epoch"]
        self.password: str = provision.get("password", "")
        self.keys = DeviceKeys(bytes.fromhex(provision["key"]))
        self.chain = Hmac(self.keys.chain)
        self.macs = [record.genesis(self.keys.chain, self.device, self.epoch)]
        self.raws: list[bytes] = []
        self.counter = itertools.count(1)
        self.needs = itertools.count(1)
        self.nonce = b"\x01" * 8
        self.incarnation = (0, 0)
        self.time = NOON
        self.day = DAY
        self.is_limited = False

    @property
    def next_seq(self) -> int:
        """The seq of the next record."""
        return len(self.raws) + 1

    def write(self, kind: int, flags: int = 0, account: int = 0, amount: int = 0, aux: int = 0) -> int:
        """Journal a record; returns its seq."""
        seq = self.next_seq
        if self.is_limited and kind in (record.SALE, record.VOID) and not flags & record.SALE_SOURCE:
            flags |= record.SALE_WEAK
        body = record.pack_body(record.Record(kind, flags, self.day, seq, self.time, account, amount, aux))
        self.macs.append(record.next_mac(self.chain, self.macs[-1], body))
        self.raws.append(record.seal(body, self.macs[-1]))
        return seq

    def sell(self, account: int, good: int = BREAKFAST, price: int | None = None, flags: int = 1) -> int:
        """A sale of one good."""
        aux = record.good_aux(good, reference(account))
        return self.write(record.SALE, flags, account, PRICES[good] if price is None else price, aux)

    def sell_basket(
        self, account: int, *lines: basket.Line, amount: int | None = None, count: int | None = None
    ) -> int:
        """A basket: its items, then the sale that commits them, or claims another `amount` or `count`."""
        for line in lines:
            aux = record.item_aux(line.good, line.quantity)
            self.write(record.ITEM, account=account, amount=line.price, aux=aux)
        amount = basket.total(lines) if amount is None else amount
        aux = record.good_aux(len(lines) if count is None else count, reference(account))
        return self.write(record.SALE, account=account, amount=amount, aux=aux)

    def walk(self, account: int, *, out: bool = False, turned: bool = True) -> int:
        """A passage of two records; returns the seq of the second."""
        direction = record.PASS_OUT if out else 0
        opened = self.write(record.PASS, record.PASS_OPENED | direction, account)
        stage = record.PASS_TURNED if turned else record.PASS_NOT_TURNED
        return self.write(record.PASS, stage | direction, account, aux=opened)

    def seal(self, kind: int, body: bytes, **changed: Any) -> bytes:
        """A message of this device; fields of its head can be changed before it is sealed."""
        head = envelope.Head(
            kind, self.school, self.device, self.epoch, *self.incarnation, next(self.counter)
        )
        return envelope.seal(self.keys.up, head._replace(**changed), body)

    def message(self, kind: int, body: bytes) -> Incoming:
        """The same on its topic."""
        return Incoming(self.topic(topics.UP), self.seal(kind, body))

    def topic(self, leaf: str) -> str:
        """One of its topics."""
        return topics.topic(self.school, self.device, leaf)

    def recs(self, first: int, count: int) -> Incoming:
        """RECS of `count` records from seq `first`."""
        raw = b"".join(self.raws[first - 1 : first - 1 + count])
        body = messages.Recs(first, count, self.macs[first - 1], self.macs[first - 1 + count], raw)
        return self.message(envelope.RECS, messages.pack_recs(body))

    def all_recs(self, first: int = 1, size: int = 20) -> list[Incoming]:
        """The journal from `first` as the device would send it."""
        starts = range(first, self.next_seq, size)
        return [self.recs(start, min(size, self.next_seq - start)) for start in starts]

    def recs_of(self, count: int) -> list[Incoming]:
        """The last `count` records."""
        return [self.recs(self.next_seq - count, count)]

    def hello(
        self,
        table_version: int = 0,
        settings_version: int = 0,
        *,
        locked: int = 0,
        books: bytes = messages.BOOKS_UNKNOWN,
    ) -> Incoming:
        """HELLO as it stands."""
        hello = messages.Hello(
            self.next_seq,
            1,
            1,
            self.macs[-1],
            self.nonce,
            table_version,
            settings_version,
            99_000,
            locked,
            books,
        )
        return self.message(envelope.HELLO, messages.pack_hello(hello))

    def need(self, account: int, wanted: int, number: int | None = None, bucket: int = 0) -> Incoming:
        """A card waits."""
        number = next(self.needs) if number is None else number
        return self.message(envelope.NEED, messages.pack_need(messages.Need(number, account, bucket, wanted)))

    def want(self, version: int, first: int, count: int) -> Incoming:
        """Ask for chunks."""
        return self.message(envelope.WANT, messages.pack_want(messages.Want(version, first, count)))

    def state(self, online: bool) -> Incoming:
        """What the broker says of it."""
        return Incoming(self.topic(topics.STATE), topics.ONLINE if online else topics.GONE)

    def opened(self, outgoing: list[Outgoing]) -> list[tuple[int, Any]]:
        """(type, parsed body) of what was sent to this device, every MAC checked."""
        found = []
        for topic, payload in outgoing:
            if topic not in (self.topic(topics.DOWN), self.topic(topics.TABLE)):
                continue
            head = envelope.peek(payload, envelope.TO_DEVICE)
            key = self.keys.table if topic.endswith(topics.TABLE) else self.keys.down
            body = envelope.open_envelope(key, head, payload, self.school, self.device).body
            found.append((head.type, _UNPACK[head.type](body)))
        return found

    def told(self, outgoing: list[Outgoing], kind: int) -> list[Any]:
        """The bodies of one type."""
        return [body for its_kind, body in self.opened(outgoing) if its_kind == kind]


_UNPACK = {
    envelope.ACK: lambda body: messages.unpack_ack(body).next_wanted,
    envelope.LOCK: messages.unpack_lock,
    envelope.TIME: messages.unpack_time,
    envelope.SETTINGS: messages.unpack_settings,
    envelope.TABLE: messages.unpack_manifest,
    envelope.CHUNK: messages.unpack_chunk,
    envelope.GRANT: messages.unpack_rights,
    envelope.RECALL: messages.unpack_rights,
    envelope.ANSWER: messages.unpack_answer,
    envelope.COMMAND: messages.unpack_command,
}


class World:
    """A school with two lines and a gate, pupils with money, tables published, and an Ingest on it."""

    def __init__(
        self, engine: Engine, folder: Any, pupils: int = 4, money: int = 100_000, *, is_limited: bool = False
    ) -> None:
        self.engine = engine
        self.vault = Vault(folder / "keys")
        self.folder = folder
        self.school = add_school(engine)
        self.now = NOON
        with db.begin(engine) as conn:
            self.pupils = add_pupils(conn, self.school, pupils, classes=2)
            add_goods(conn, self.school, PRICES)
            register = [("line-1", "canteen"), ("line-2", "canteen"), ("gate-1", "gate")]
            provisions = [
                devices.register(conn, self.vault, self.school, label, kind, NOON) for label, kind in register
            ]
            for number, account in enumerate(self.pupils if money else []):
                accounting.top_up(conn, self.school, account, money, f"T{number}", NOON)
            devices.publish_tables(conn, self.vault, self.school, NOON)
        self.line, self.other, self.gate = map(Peer, provisions)
        self.line.is_limited = self.other.is_limited = is_limited
        self.restart()
        self.ingest.poll()

    def restart(self) -> None:
        """A new ingest process on the same data."""
        self.archive = Archive(self.folder / "archive")
        self.ingest = Ingest(self.engine, self.vault, self.archive, clock=lambda: self.now)

    def handle(self, *incoming: Incoming) -> list[Outgoing]:
        """One batch."""
        return self.ingest.handle(list(incoming))

    def of_line(self, peer: Peer) -> list[int]:
        """The pupils whose home till is this line."""
        with db.reading(self.engine) as conn:
            accounts = people.accounts(conn, self.school)
            return [each.account_id for each in accounts if each.home_device == peer.device]

    def balance(self, account: int) -> int:
        """A purse."""
        return self.balances(accounting.purse(account))[0]

    def balances(self, *codes: str) -> list[int]:
        """Balances in the order of the codes."""
        with db.reading(self.engine) as conn:
            found = accounting.balances(conn, self.school, codes)
            return [found[code] for code in codes]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement about this school: `?` is its number."""
        with db.reading(self.engine) as conn:
            return [tuple(row) for row in bulk.select(conn, statement, (self.school,))]

    def records(self, peer: Peer) -> list[tuple[int, int]]:
        """(seq, refusal) of what was taken from a device."""
        rows = self.rows("SELECT seq, refusal, device_id FROM record WHERE school_id = ? ORDER BY seq")
        return [(seq, refusal) for seq, refusal, device in rows if device == peer.device]

    def refusals(self) -> dict[tuple[int, int], int]:
        """(device_id, code) to count."""
        rows = self.rows("SELECT device_id, code, count FROM device_refusal WHERE school_id = ?")
        return {(device, code): count for device, code, count in rows}

    def check_books(self) -> None:
        """What always holds."""
        with db.reading(self.engine) as conn:
            check_books(conn, self.school)


def check_books(conn: Connection, school: int) -> None:
    """Postings add up, caches agree, and no purse has more out than it holds."""
    assert accounting.books_sum(conn, school) == 0
    assert accounting.differing_balances(conn, school) == []
    statement = (
        "SELECT r.account_id, sum(CASE WHEN journaled > granted THEN journaled ELSE granted END"
        " - returned - spent + voided) FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE r.school_id = ? AND bucket = 0 AND e.status <> 'closed' GROUP BY r.account_id"
    )
    out = {row[0]: int(row[1]) for row in bulk.select(conn, statement, (school,))}
    balances = accounting.balances(conn, school, [accounting.purse(account) for account in out])
    for account, amount in out.items():
        assert 0 <= amount <= balances[accounting.purse(account)], (account, amount, balances)
