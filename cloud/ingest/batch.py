"""One batch: from checked messages to committed facts and the messages that follow from them.

Promises: everything of a batch is one transaction; what was taken from devices
and what was granted to them is in the archive before that transaction commits.
The order: chains, rules, books, records, passages and outbox, needs, archive.
Leaves commit, publishing and acknowledgement to service.py and client.py.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.alarms import service as alarms
from cloud.archive import Archive, Grants, Item, Records
from cloud.attendance import service as attendance
from cloud.benefits import service as benefits
from cloud.devices import service as devices
from cloud.ingest import chain, offers, store
from cloud.ingest.fleet import Device, Fleet
from cloud.ingest.fork import Forks
from cloud.ingest.inbox import Checked, Inbox, Place
from cloud.ingest.late import Late
from cloud.ingest.means import BALANCED, Means
from cloud.ingest.needs import Desk, Needs
from cloud.ingest.outgoing import Post, books_head
from cloud.ingest.payers import Payers
from cloud.ingest.prices import Prices
from cloud.ingest.replay import Judged, Replay, accounts_moved, void_key
from cloud.ingest.rights import Rights
from cloud.losses import service as losses
from cloud.notifications import service as notifications
from protocols.errors import CHAIN_FORK, CHAIN_GAP, WIRE_EPOCH, Fault
from protocols.ledger import record
from protocols.wire import envelope, messages, table


class Batch:
    """The work on one batch, inside one transaction.  `is_again`: it reads the archive after a restore."""

    is_again = False

    def __init__(
        self, conn: Connection, fleet: Fleet, needs: Needs, prices: Prices, inbox: Inbox, now: int
    ) -> None:
        self._conn = conn
        self._fleet = fleet
        self._needs = needs
        self._prices = prices
        self._inbox = inbox
        self._now = now
        self._devices = dict(inbox.devices)
        self._rights = Rights()
        self._new: defaultdict[Device, bytearray] = defaultdict(bytearray)
        self._first: dict[Device, int] = {}
        self._forks = Forks(conn, now)
        self._to_ack: dict[Device, list[int]] = {}
        self._asked: list[tuple[Device, messages.Need]] = []
        self._granted: defaultdict[Place, list[tuple[int, int, int]]] = defaultdict(list)
        self._archived_tables: list[tuple[Device, int]] = []
        self._over: dict[int, set[int]] = {}
        self._owing: dict[int, set[int]] = {}
        self._of_older_tables: list[Device] = []
        self._means = Means(conn, self._rights, now)
        self.refusals: Counter[tuple[int, int, int]] = Counter(inbox.refusals)
        self._wait_for_archive: Callable[[], None] = lambda: None
        self.post = Post(conn, fleet, now)
        self.record_count = 0
        self._heads: dict[int, accounting.Head] = {}
        self.witnessed: list[tuple[int, tuple[int, int], accounting.Head, int]] = []
        """(school, its incarnation, where its books stand, batches so far) of those this batch was about."""

    # Taking

    def take(self, archive: Archive) -> None:
        """Read all messages in their order, then judge and write what they brought."""
        handlers = {
            envelope.HELLO: self._hello,
            envelope.RECS: self._recs,
            envelope.NEED: self._need,
            envelope.WANT: self._want,
        }
        for place, up in self._inbox.states.items():
            self._needs.told(place, up, self._now)
        for message in self._inbox.checked:
            if message.type in (envelope.HELLO, envelope.RECS):
                self._to_ack.setdefault(message.device, [])
            try:
                handlers[message.type](message)
            except Fault as fault:
                self.refuse(message.device, fault.code)
        if self._new:
            self._wait_for_archive = archive.append_meanwhile(self._records(), self._now)
        returned = self._judge()
        self._settle()
        self._decide(returned)
        # A debt that came behind its money, and what came back though no card waits for it any more.
        self._rights.write(self._conn, self._now)
        for school_id, accounts in self._owing.items():
            devices.repay(self._conn, school_id, accounts, self._now)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """ACK every device that spoke; one that hands its journal over is told what of it has arrived."""
        for device, arrived in self._to_ack.items():
            books = books_head(self._head(device.school_id))
            for next_wanted in arrived if device.hands_over else [device.next_seq]:
                self.post.ack(device, next_wanted, books)
            if not device.is_open and device not in self._forks.quarantined:
                # Whoever still speaks may not have heard that its epoch is over.
                self.post.lock(device, device.lock_reason or WIRE_EPOCH)
        for device in self._forks.quarantined:
            self.post.lock(device, device.lock_reason)
            devices.note_status(
                self._fleet.vault, device.school_id, device.device_id, device.epoch, device.status
            )

    def _head(self, school_id: int) -> accounting.Head:
        if school_id not in self._heads:
            self._heads[school_id] = accounting.head(self._conn, school_id)
        return self._heads[school_id]

    def refuse(self, device: Device, code: int) -> None:
        """Count what a device sent under a right MAC and yet cannot be, or cannot be taken yet."""
        self.refusals[device.school_id, device.device_id, code] += 1

    def _recs(self, message: Checked) -> None:
        device = message.device
        recs = messages.unpack_recs(message.body)
        known = partial(self._known, device)
        taken = chain.take(device.keys.chain, device.next_seq, device.head_mac, recs, known)
        is_branch = taken.refusal in (CHAIN_FORK, CHAIN_GAP) and self._forks.take(
            device, recs, known, taken.refusal
        )
        if taken.refusal:
            self.refuse(device, taken.refusal)
        if is_branch or not taken.refusal:
            self._to_ack[device].append(recs.from_seq + recs.count)
        self.go_on(device, taken)

    def go_on(self, device: Device, taken: chain.Taken) -> None:
        """A device's journal goes on by these records, which were checked."""
        if taken.raw:
            self._first.setdefault(device, device.next_seq)
            self._new[device] += taken.raw
            device.next_seq += len(taken.raw) // record.SIZE
            device.head_mac = taken.head_mac
            device.moved = True

    def _known(self, device: Device, first: int, after: int) -> bytes:
        """Raw records that were taken before, in the database or in this batch."""
        new_from = self._first.get(device, device.next_seq)
        raw = b""
        if first < new_from:
            raw = store.raw_records(self._conn, *device.key, device.epoch, first, min(after, new_from))
            first = new_from
        if first < after:
            start, end = ((seq - new_from) * record.SIZE for seq in (first, after))
            raw += bytes(self._new[device][start:end])
        return raw

    def _hello(self, message: Checked) -> None:
        device, hello = message.device, messages.unpack_hello(message.body)
        if device.said_hello(hello, self._now):
            self._needs.forget_granted(device)
        if device.hands_over:
            # All of its journal: what is known is compared, what differs is kept.
            self._to_ack[device].append(hello.oldest_seq)
        if not device.is_open:
            return
        device.keep_versions(self._conn)
        if hello.oldest_seq > device.next_seq:
            alarms.raise_alarm(self._conn, device.school_id, *device.hole(hello.oldest_seq), self._now)
        if hello.settings_version < device.settings_wanted:
            self.send_settings(device)
        self.post.time(device, hello.boot_nonce)  # behind the settings: they carry the calendar
        self.send_table(device, hello.table_version)
        untold = store.untold_grants(self._conn, *device.key, device.epoch)
        if untold and not device.in_recovery:
            self._tell_again(device, [(row[0], row[1], row[2]) for row in untold])

    def _tell_again(self, device: Device, rows: list[tuple[int, int, int]]) -> None:
        """Grants that the device has not journaled, unless a restore has left more out than a purse holds."""
        school_id, accounts = device.school_id, sorted({row[0] for row in rows})
        self._rights.read(self._conn, ((school_id, account) for account in accounts))
        self._means.read_balances(school_id, accounts)
        covered = [
            row for row in rows if row[1] not in BALANCED or self._means.free(school_id, row[0], row[1]) >= 0
        ]
        self.post.grants(device, covered)

    def _want(self, message: Checked) -> None:
        want = messages.unpack_want(message.body)
        image = store.table_image(self._conn, *message.device.key, want.version)
        if image is not None:
            self.post.chunks(message.device, want, image)

    def _need(self, message: Checked) -> None:
        self._asked.append((message.device, messages.unpack_need(message.body)))

    # Sending on request

    def send_settings(self, device: Device) -> None:
        """The present settings for this kind of device."""
        settings = devices.settings_for(self._conn, device.school_id, device.kind, self._now)
        self._prices.tell(device.school_id, settings, self._now)
        self.post.settings(device, settings)

    def send_table(self, device: Device, has_version: int) -> None:
        """Announce the newest table when the device has an older one; its grants go to the archive first."""
        head = store.table_head(self._conn, *device.key)
        if head is None or head.version <= has_version:
            return
        if head.archived_at is None and all(place != device for place, _version in self._archived_tables):
            rows = store.tabled_grants(self._conn, *device.key, device.epoch)
            self._granted[device.key] += [(row[0], row[1], row[2]) for row in rows]
            self._archived_tables.append((device, head.version))
            store.set_archived(self._conn, *device.key, head.version, self._now)
        rows_told = table.Table(BytesIO(bytes(head.header))).rows
        self.post.manifest(device, head.version, head.size, rows_told, bytes(head.root))

    def offer(self, device: Device, account_ids: list[int], work_id: int) -> None:
        """Money or credit is free here; nothing in recovery.  `work_id`: the row of downlink that asks."""
        if not device.in_recovery:
            desk = self._desk({(device.school_id, each) for each in account_ids})
            offers.offer(desk, device, account_ids, work_id)

    def recall(self, device: Device, account_id: int) -> None:
        """A payout waits for what this till holds; nothing in recovery."""
        if not device.in_recovery:
            offers.recall_for_payouts(self._desk({(device.school_id, account_id)}), device, account_id)

    def _desk(self, accounts: set[tuple[int, int]]) -> Desk:
        """What decisions about these purses are made with."""
        self._rights.read(self._conn, accounts)
        for school_id in {school_id for school_id, _account in accounts}:
            self._means.read_balances(
                school_id, [account for school, account in accounts if school == school_id]
            )
        means = self._means
        return Desk(
            self._rights, self.post, means.balance, means.reserved, means.room, means.rules, self._device,
            self._grant,
        )  # fmt: skip

    # Judging

    def _judge(self) -> Replay | None:
        """Replay what is new and write what follows from it."""
        news = [(device, bytes(raw)) for device, raw in self._new.items()]
        if not news:
            return None
        touched = {(device.school_id, account) for device, raw in news for account in accounts_moved(raw)}
        self._rights.read(self._conn, touched)
        prices = {
            device.school_id: self._prices.read(self._conn, device.school_id, device.settings_wanted)
            for device, _raw in news
        }
        hot = {
            device.school_id: self._prices.hot(self._conn, device.school_id, device.settings_wanted)
            for device, _raw in news
        }
        late = Late(self._conn, self._means.spendable)
        payers = Payers(self._conn, late, self._rights.used, is_again=self.is_again)
        undoing = partial(accounting.undoing, self._conn, with_reversals=True)
        replay = Replay(
            self._rights, prices, self._earlier, self._known, self._voided, self._now, payers, hot, undoing
        )
        judged: dict[int, Judged] = {school_id: Judged() for school_id in sorted(prices)}
        for device, raw in news:
            seen = device.incarn_seen
            replay.judge(device, raw, judged[device.school_id])
            device.keep_versions(self._conn)
            if device.in_recovery and device.is_open and device.table_incarn < device.incarn_seen > seen:
                self._of_older_tables.append(device)
        for school_id, found in judged.items():
            self._write(school_id, found)
            self.record_count += len(found.rows)
            self._over.setdefault(school_id, set()).update(found.closed_days)
            self._owing[school_id] = found.owing
        return replay

    def _settle(self) -> None:
        """Days that a journal has closed: re-rate what a fund pays, and offer what became free."""
        for school_id, days in self._over.items():
            if days:
                # Counters and journals of this batch count too.
                self._rights.write(self._conn, self._now)
                self._write_journals()
                returned = benefits.settle(self._conn, school_id, days, self._now)
                devices.offer_rights(self._conn, school_id, returned, self._now)

    def _write(self, school_id: int, found: Judged) -> None:
        """Entries, records, passages and outbox of one school."""
        results = accounting.post(self._conn, school_id, found.entries, self._now)
        if any(result.refusal for result in results):
            found.refuse([result.refusal for result in results])
        store.add_records(self._conn, found.rows)
        # The last field of a row: why the rules refuse that record.
        self.refusals.update((school_id, row[1], row[-1]) for row in found.rows if row[-1])  # type: ignore[misc]
        self.refusals.update((school_id, *each) for each in found.refused)
        alarms.raise_alarms(self._conn, school_id, found.alarms, self._now)
        devices.obeyed(self._conn, school_id, found.obeyed, self._now)
        devices.day_confirmed(self._conn, school_id, found.confirmed, self._now)
        if found.passages:
            attendance.record_passages(self._conn, school_id, found.passages)
        if found.told:
            notifications.enqueue(self._conn, found.told)
        if found.refused_taps:
            losses.tapped(self._conn, school_id, found.refused_taps, self._now)

    def _earlier(self, device: Device, seq: int) -> tuple[record.Record, int] | None:
        return store.earlier_record(self._conn, *device.key, device.epoch, seq)

    def _voided(self, device: Device, seq: int) -> bool:
        return accounting.is_posted(self._conn, device.school_id, void_key(device, seq))

    # Deciding

    def _decide(self, replay: Replay | None) -> None:
        """Answer what cards wait for, now that the books know what the journals said."""
        returned = replay.returned if replay is not None else set()
        if not self._asked and not returned:
            return
        wanted = {(device.school_id, need.account) for device, need in self._asked}
        wanted |= self._needs.accounts() if returned else set()
        desk = self._desk(wanted)
        if returned:
            self._needs.returned(returned, desk, self._now)
        for device, need in self._asked:
            self._needs.ask(device, need, desk, self._now)

    def _device(self, school_id: int, device_id: int) -> Device | None:
        place = school_id, device_id
        if place not in self._devices:
            self._devices.update(self._fleet.read(self._conn, [place]))
        device = self._devices.get(place)
        return device if device is not None and device.is_open else None

    def _grant(self, device: Device, account_id: int, bucket: int, more: int, total: int) -> None:
        """Keep that `more` was granted; the room of the device was asked for before."""
        self._means.take_room(device, more)
        self._granted[device.key].append((account_id, bucket, total))

    # Finishing

    def finish(self, archive: Archive | None) -> None:
        """Write what is left, and everything that must be outside the database into the archive.

        Without an archive: when the archive itself is read again.
        """
        now = self._now
        self._rights.write(self._conn, now)
        moved = self._write_journals()
        heard = [device for device in self._devices.values() if device.heard]
        states = self._inbox.states
        store.write_devices(self._conn, [d.heard_row(now, states.get(d.key, True)) for d in heard])
        silent = [(int(up), *place) for place, up in states.items() if not self._devices[place].heard]
        store.write_online(self._conn, silent)
        devices.count_refusals(self._conn, self.refusals, now)
        # Devices that just heard of this incarnation work by the table of another one, maybe a lost one.
        older = {device.key: device.table_version for device in self._of_older_tables}
        devices.replace_tables(self._conn, older, now)
        for school_id in sorted({d.school_id for d in moved if d.in_recovery}):
            devices.end_recovery(self._conn, school_id, now)
        self._wait_for_archive()
        if archive is not None:
            archive.append(self._frames(), now)
            self._witness()

    def _witness(self) -> None:
        """Count this batch, unless everything in it was refused: a forger moves no witness."""
        if self._inbox.checked or self._inbox.states or not self._inbox.refusals:
            about = {device.school_id: device for device in self._devices.values()}
            for school_id, device in sorted(about.items()):
                incarnation = device.incarnation, device.incarnation_id
                count = store.count_batch(self._conn, school_id)
                self.witnessed.append((school_id, incarnation, self._head(school_id), count))

    def _write_journals(self) -> list[Device]:
        """Write where every journal that moved stands now."""
        spoken = (*self._devices.values(), *self._inbox.older.values())
        moved = [device for device in spoken if device.moved]
        store.write_journals(self._conn, [d.journal_row for d in moved])
        return moved

    def _records(self) -> Iterator[Item]:
        for device, raw in self._new.items():
            yield Records(*device.key, device.epoch, self._now, bytes(raw))

    def _frames(self) -> Iterator[Item]:
        yield from self._prices.frames()
        yield from self._forks.frames
        for place, rows in self._granted.items():
            if rows:
                yield Grants(*place, self._devices[place].epoch, self._now, tuple(rows))
