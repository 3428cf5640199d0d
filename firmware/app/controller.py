"""What every controller has in common: boot, the journal, the tables, the counters, refused taps.

Promises: a record is durable before anything follows from it; the state, the
counters and the memory of taps are folds over the journal and stand again after
any boot; a device whose journal is broken locks itself, says so, and refuses
every tap.  Leaves the decision about a tap to turnstile.py and canteen.py, the
network to sync.py.
"""

import gc

from firmware.app.accounts import Accounts, Identity
from firmware.app.counters import CounterStore
from firmware.app.repeats import Repeats
from firmware.app.settings import SettingsStore, calendar_day
from firmware.app.state import DeviceState
from firmware.hal import panel as show
from firmware.hal.board import GATE
from protocols.card.credential import DEVICE_REFERENCE_SIZE, canonical, parts
from protocols.errors import (
    DEVICE_LOCKED,
    JOURNAL_BROKEN,
    JOURNAL_FULL,
    NOT_CAPABLE,
    OK,
    REPEATED_TAP,
    STORAGE_MISSING,
    TABLE_OLD,
    Fault,
)
from protocols.ledger import record
from protocols.ledger.holder import Holder
from protocols.ledger.journal import HORIZON_DAYS, Journal
from protocols.mac import DeviceKeys, Hmac

# Records before the head that are read at boot for the memory of taps: eight of them may be baskets.
_TAIL = 136
# Records after which a boot should not have to replay more, even if they moved no rights.
_REPLAY_MAX = 1024
# Records that are kept free for the parent and the board itself: a full journal must still be able to follow
# a restored parent, give rights back and lock itself.
_RESERVE = 64
_MONEY = (record.SALE, record.VOID, record.GRANT, record.RETURN)


class Controller:
    """One board.

    `need`: the Need of a waiting card, or None; sync sends it and calls `answered`.
    `opening`: the direction of a passage that a command has opened, until the gate takes it, or None.
    `locked`: why every tap is refused, or OK; `readable`: whether the journal can be sent.
    """

    def __init__(self, board) -> None:
        provision = board.provision
        self.board = board
        self.clock = board.clock
        self.panel = board.panel
        self.provision = provision
        self.keys = DeviceKeys(provision.key)
        self._reference = Hmac(provision.reference_key)
        # A gate's passages are not money: they may go as soon as the parent has them.
        horizon_days = 0 if provision.kind == GATE else HORIZON_DAYS
        self.journal = Journal(board.flash, self.keys.chain, provision.device, provision.epoch, horizon_days)
        self.state = DeviceState()
        self.settings = SettingsStore(board.storage)
        self.accounts = Accounts(board.storage)
        holds_rights = provision.kind != GATE
        self.counters = CounterStore(board.storage, provision.device, provision.epoch, holds_rights)
        self.holder = Holder(self.counters, 0)
        self.repeats = Repeats(board.clock)
        self.boot_nonce = bytes(8)
        self.locked = OK
        self.readable = False
        self.need = None
        self.answered_number = 0
        self.opening = None
        # Bad messages by refusal number.
        self.refusals = {}
        self._given_up = (0, 0)
        self._checkpoint_seq = 1

    # Boot

    def boot(self) -> None:
        """Find everything again after any stop.  Never raises: a broken device says so and stays locked."""
        self.boot_nonce = self.board.random_bytes(8)
        try:
            self.journal.open()
            self.readable = True
            self._recover()
            self._open_files()
            self.locked = self.state.locked
            self._write_boot()
        except Fault as fault:
            self.panel.fault(fault.code, fault.thing)
            # A full journal is emptied by the parent's acknowledgement; all else needs a person.
            self.locked = self.state.locked if fault.code == JOURNAL_FULL else fault.code
        except OSError as error:
            self.panel.fault(STORAGE_MISSING, "storage %s" % error.errno)
            self.locked = STORAGE_MISSING
        self.panel.ready(self.provision.device, self.journal.next_seq)

    def _recover(self) -> None:
        """Checkpoint, then replay; once the journal has lost its start, the checkpoint is a must."""
        journal = self.journal
        try:
            packed = self.counters.open()
        except Fault as fault:
            self.panel.fault(fault.code, fault.thing)
            self.counters.forget()
            packed = None
        if packed is not None:
            self.state.load(packed)
        start = self._checkpoint_seq = self.state.next_seq
        if start > journal.next_seq or start < journal.oldest_seq:
            raise Fault(JOURNAL_BROKEN, "counters at %d" % start, "journal to %d" % journal.next_seq)
        newest = 0
        for item in journal.records(max(journal.oldest_seq, min(start, journal.next_seq - _TAIL))):
            # A clock that was set, or a day that was taken back: what stood before it is no guess any more.
            is_set = item.type == record.CLOCK and item.flags != record.CLOCK_REFUSED
            newest = item.time if is_set else max(newest, item.time)
            self.repeats.recover(item)
            if item.seq >= start:
                self._fold(item)
        journal.acknowledge(min(self.state.acked, journal.next_seq))
        self.clock.at_least(newest)

    def _open_files(self) -> None:
        self.settings.open(self.state.settings_version)
        self.holder.cap = self.settings.current.cap
        self.accounts.open(self.state.table_version)

    def _write_boot(self) -> None:
        low, high = (int.from_bytes(self.boot_nonce[at : at + 4], "little") for at in (0, 4))
        self.write(record.BOOT, 0, account=low, aux=high)
        # A cut between a swap and its record: write the record now.
        self.applied(record.TABLE_SETTINGS, self.settings.current.version)
        self.applied(record.TABLE_ACCOUNTS, self.accounts.version)

    def lock(self, fault: Fault) -> None:
        """The journal turned out to be broken while the device ran: no card is taken, nothing is sent."""
        self.locked = fault.code
        self.readable = False
        self.panel.fault(fault.code, fault.thing)

    # The journal

    def day(self, utc: int) -> int:
        """The school day of a moment in the calendar, never before the newest record's nor a closed one."""
        return max(calendar_day(self.settings.current, utc), self.day_min)

    @property
    def day_min(self) -> int:
        """The earliest day that a record may still have: the newest one's, or the one after a closed one."""
        return max(self.journal.last_day, self.state.day)

    def _close_before(self, day: int, moment: int) -> None:
        """Close the newest day with operations if it is over: then the parent knows that it has all."""
        state = self.state
        if state.day_count and state.day < day:
            closed, count, last = state.day, state.day_count, state.day_last
            seq = self.journal.append(record.CLOSE_DAY, 0, closed, moment, 0, count, last, day)
            self._fold(record.Record(record.CLOSE_DAY, 0, closed, seq, moment, 0, count, last))

    def write(self, kind: int, flags: int, *, account=0, amount=0, aux=0, time: int | None = None) -> int:
        """Make one record durable, fold it in, return its seq.  `time`: UTC seconds, now when not given.

        The first record of a new day stands behind the CLOSE_DAY of the one before.
        Faults of the journal (full, flash) come through: nothing has happened then.
        """
        moment = self.clock.utc() if time is None else time
        if kind in _MONEY:
            item = record.Record(kind, flags, self.day(moment), 0, moment, account, amount, aux)
            bucket = record.bucket_of(item) if kind in (record.SALE, record.VOID) else aux
            self.check_room(account, bucket, flags, item.day)
        return self.write_at(kind, flags, moment, account, amount, aux)

    def check_room(self, account: int, bucket: int, flags: int, day: int) -> None:
        """Fault(STORAGE_MISSING) when the counters have no room for such a record of a key."""
        if flags & record.SALE_WEAK:
            self.counters.check_room(account, bucket, record.weak_bucket(day))
        else:
            self.counters.check_room(account, bucket)

    def write_at(self, kind: int, flags: int, moment: int, account: int, amount: int, aux: int) -> int:
        """write() at a moment in UTC seconds, for what moves no rights: a gate's short way."""
        day = self.day(moment)
        self._close_before(day, moment)
        seq = self.journal.append(kind, flags, day, moment, account, amount, aux)
        self._fold(record.Record(kind, flags, day, seq, moment, account, amount, aux))
        return seq

    def take_day_back(self, day: int, moment: int, step: int) -> None:
        """A person says that it is `day`, though records of later days stand: the later ones are closed.

        The journal goes on at that day, or behind it when that one was closed before the clock went wrong.
        """
        self._close_before(self.day_min + 1, moment)
        before = self.state.day_before_set
        day = max(day, before) if before <= day + 1 else day
        flags = record.CLOCK_CONFIRMED
        seq = self.journal.append(record.CLOCK, flags, day, moment, 0, step, 0)
        self._fold(record.Record(record.CLOCK, flags, day, seq, moment, 0, step, 0))

    def _fold(self, item) -> None:
        moves_rights = item.type in _MONEY
        if moves_rights:
            self.holder.apply(item)
        self.state.follow(item)
        is_due = moves_rights and self.counters.is_due
        if is_due or item.seq >= self._checkpoint_seq + _REPLAY_MAX - 1:
            self._begin_checkpoint()

    def _begin_checkpoint(self) -> None:
        self._checkpoint_seq = self.state.next_seq
        state = self.state
        state.acked = min(self.journal.acked, state.next_seq)
        # A person may take back a day that was believed to be over: what is left out then stays left out.
        state.benefits_from = max(state.benefits_from, min(self.day_min, state.day_sure))
        try:
            self.counters.begin(state.pack(), record.benefit_bucket(state.benefits_from, 0))
        except Fault as fault:
            # The journal has it all; the next checkpoint tries again.
            self.panel.fault(fault.code, fault.thing)

    def record_at(self, seq: int):
        """The Record of a seq, or None when it is no longer in the ring, or damaged there."""
        if not self.journal.oldest_seq <= seq < self.journal.next_seq:
            return None
        try:
            for item in self.journal.records(seq):
                return item if item.seq == seq else None
        except Fault as fault:
            self.panel.fault(fault.code, fault.thing)
        return None

    # Taps

    def identify(self, tap) -> Identity:
        """Look the card of a tap up; Fault(BAD_CREDENTIAL) for an id that is none."""
        shown = canonical(tap.credential)
        who = self._known_as(shown)
        if who.row is None:
            # Perhaps a card of which the school knows the end of the number only.
            for name in parts(shown):
                known = self._known_as(name)
                if known.row is not None:
                    return known
        return who

    def _known_as(self, name: str) -> Identity:
        return self.accounts.identify(self._reference.mac(name.encode())[:DEVICE_REFERENCE_SIZE])

    def is_repeat(self, who: Identity, tap) -> bool:
        """Whether this tap repeats an accepted one."""
        return self.repeats.is_repeat(who.bits, who.account, tap, self.settings.current.repeat_ms)

    def show_repeat(self, tap) -> None:
        """A repeated tap: nothing is written."""
        self.panel.verdict(show.REPEAT, REPEATED_TAP, 0, tap.time)

    def refuse(self, tap, who: Identity, refusal: int) -> None:
        """Write a refused tap down, then send the person to the guard or the staff."""
        flags = record.NOTE_REFUSED_TAP
        seq = self.write(record.NOTE, flags, account=who.account, amount=refusal, aux=who.bits, time=tap.time)
        self.panel.verdict(show.ASK, refusal, seq, tap.time)

    def refuse_broken(self, tap, fault: Fault) -> None:
        """A tap that cannot be written down, or of a device that is locked."""
        self.panel.fault(fault.code, fault.thing)
        self.panel.verdict(show.ASK, fault.code, 0, tap.time)

    def check_unlocked(self) -> None:
        """Fault(DEVICE_LOCKED) on a device that has locked itself."""
        if self.locked:
            raise Fault(DEVICE_LOCKED, "refusal %d" % self.locked)

    def check_takes_cards(self) -> None:
        """Fault when no card can be served: DEVICE_LOCKED, or JOURNAL_FULL but for the reserve."""
        self.check_unlocked()
        if self.journal.needs_oldest(_RESERVE):
            self.journal.check_room(_RESERVE, self.day(self.clock.utc()))

    def lock_for_good(self, reason: int) -> None:
        """Stop for good: this journal is not the only one of its epoch, or the parent says so.

        The record keeps the board locked over boots; a new epoch begins a new journal.
        """
        if self.state.locked:
            return
        self.locked = self.locked or reason
        self.panel.fault(reason, "locked")
        if self.readable:
            self.write(record.NOTE, record.NOTE_LOCKED, amount=reason)

    # What the parent says

    def refused(self, fault: Fault) -> None:
        """Count a bad message by its number; a fault of the device itself is shown too."""
        self.refusals[fault.code] = self.refusals.get(fault.code, 0) + 1
        if fault.code < REPEATED_TAP:
            self.panel.fault(fault.code, fault.thing)

    def grant(self, account: int, bucket: int, total: int) -> None:
        """Merge a G total; only a canteen line holds rights.

        A benefit of a day whose counters are left out by now may have been used: it is not taken over.
        """
        if self.provision.kind == GATE:
            raise Fault(NOT_CAPABLE, "grant")
        self.check_unlocked()
        if record.MEALS_A_DAY <= bucket < record.benefit_bucket(self.state.benefits_from, 0):
            return
        due = self.holder.grant_due(account, bucket, total)
        if due is not None:
            self.write(record.GRANT, 0, account=account, amount=due, aux=bucket)

    def give_back(self, account: int, bucket: int, target: int) -> None:
        """Return rights towards an R target, or say that none are left; never on a board that is locked."""
        if self.provision.kind == GATE:
            raise Fault(NOT_CAPABLE, "recall")
        self.check_unlocked()
        due = self.holder.return_due(account, bucket, target)
        if due is not None:
            self.write(record.RETURN, 0, account=account, amount=due, aux=bucket)

    def answered(self, number: int) -> None:
        """The parent's last word on a Need came in."""
        if self.need is not None and self.need.number == number:
            self.answered_number = number

    def applied(self, what: int, version: int) -> None:
        """Write down a table or settings version that is now in force, unless the journal knows it."""
        known = self.state.settings_version if what == record.TABLE_SETTINGS else self.state.table_version
        if version > known:
            self.write(record.TABLE, what, aux=version)

    def gave_up(self, version: int, refusal: int) -> None:
        """Write down, once in a boot, that an account table was given up: somebody must look why."""
        if (version, refusal) != self._given_up:
            self._given_up = (version, refusal)
            self.write(record.TABLE, record.TABLE_REFUSED, amount=refusal, aux=version)

    def take_settings(self, body: bytes, settings) -> None:
        """Keep newer settings; the same ones again are nothing new, older ones are Fault(TABLE_OLD)."""
        if settings.version == self.settings.current.version:
            return
        if settings.version < self.state.settings_version:
            raise Fault(TABLE_OLD, "settings %d" % settings.version)
        self.settings.keep(body, settings)
        self.holder.cap = settings.cap
        self.applied(record.TABLE_SETTINGS, settings.version)

    # Health

    def step(self) -> int:
        """The task of the quiet moments: a turn of the checkpoint, the end of a day, an answer."""
        question = self.panel.next_question()
        if question == show.LAST:
            self._tell_last()
        elif question == show.STATUS:
            self.panel.status(self.health())
        if self.counters.is_merging:
            self.counters.step()
            return 0
        if self.readable and not self.locked:
            now = self.clock.utc()
            self._close_before(self.day(now), now)
        return 0 if question else 1000

    def _tell_last(self) -> None:
        item = None
        if self.state.last_operation and not self.locked:
            item = self.record_at(self.state.last_operation)
        refusal = item.amount if item is not None and item.type == record.NOTE else OK
        self.panel.last(item, refusal, self.state.open_passage != 0)

    def health(self) -> list:
        """(name, number) pairs about this board."""
        link = self.board.link
        return [
            ("next", self.journal.next_seq),
            ("acked", self.journal.acked),
            ("online", 1 if link.online else 0),
            ("table", self.accounts.version),
            ("settings", self.settings.current.version),
            ("heap", heap_free()),
            ("readers", self.board.reader.faults),
            ("refused", sum(self.refusals.values())),
        ]


def heap_free() -> int:
    """Bytes of heap that are free after a collection, or 0 where the interpreter does not tell."""
    if not hasattr(gc, "mem_free"):
        return 0
    gc.collect()
    return gc.mem_free()
