"""What a device knows about itself, as a fold over its journal.

Promises: the same records give the same state, at boot as in the running
board; a few bytes hold it in a checkpoint.  Leaves the escrow counters to
counters.py and the short memory of taps to repeats.py.
"""

from protocols.fields import Layout
from protocols.ledger import record

_STATE = Layout(
    "device state",
    "next_seq u32, acked u32, incarnation u32, incarnation_id u32, table_version u32, "
    "settings_version u32, last_operation u32, open_passage u32, locked u16, readers u16, day u32, "
    "day_count u32, day_last u32, day_before_set u16, benefits_from u16, command u32, day_sure u32, "
    "books bytes12",
)
SIZE = _STATE.size
# A step of so many days is one that a school makes by itself.
_WEEKEND_DAYS = 4


class DeviceState:
    """`next_seq`: every record before it is folded in.

    `last_operation`: seq of the last PASS, SALE or NOTE, or 0; `open_passage`:
    seq of an OPENED record that nothing has ended yet, or 0; `table_version`
    and `settings_version`: the highest ever applied; `locked`: why the board
    must not work until it has a new epoch, or 0.  `day`: the day of the newest
    operation, or the one after the last that was closed; `day_count` and
    `day_last`: how many operations it has and the seq of the last of them, 0 and
    0 when it has none or is closed.  `day_before_set`: the earliest day that was
    open when TIME last set the clock.  `command`: the highest number of a
    command that was taken.  `day_sure`: days before it are over: the newest day that
    followed the one before within a long weekend, or stood when the clock was set, or
    that a person has confirmed.  `readers`: why readers are at fault, a byte each, as
    hal/reader.py has them.  `acked` and `books` (where the parent's books stood at
    its last ACK) are not of the journal but the parent's word, kept so that a boot
    knows them.  `benefits_from`: counters of benefits of earlier days are left out of
    the checkpoint that holds this state, so none of them is granted once more.
    """

    def __init__(self) -> None:
        self.next_seq = 1
        self.acked = 1
        self.incarnation = 0
        self.incarnation_id = 0
        self.table_version = 0
        self.settings_version = 0
        self.last_operation = 0
        self.open_passage = 0
        self.locked = 0
        self.day = 0
        self.day_count = 0
        self.day_last = 0
        self.day_before_set = 0
        self.benefits_from = 0
        self.command = 0
        self.day_sure = 0
        self.readers = 0
        self.books = bytes(12)

    def follow(self, item) -> None:
        """Fold one durable Record in."""
        self.next_seq = item.seq + 1
        kind = item.type
        self._follow_day(item)
        if kind == record.PASS:
            self._follow_passage(item)
        elif kind == record.TABLE:
            if item.flags == record.TABLE_SETTINGS:
                self.settings_version = max(self.settings_version, item.aux)
            elif item.flags == record.TABLE_ACCOUNTS:
                self.table_version = max(self.table_version, item.aux)
        elif kind == record.CLOCK:
            self._follow_clock(item)
        elif kind == record.INCARN:
            self.incarnation = item.aux
            self.incarnation_id = item.account
            # What an earlier parent had acknowledged counts for nothing with this one.
            self.acked = 1
            self.books = bytes(12)
        elif kind == record.NOTE and item.flags == record.NOTE_LOCKED:
            self.locked = item.amount
            return
        elif kind == record.NOTE and item.flags == record.NOTE_COMMAND:
            self.command = max(self.command, item.aux)
            return
        elif kind == record.NOTE and item.flags == record.NOTE_READER:
            shift = 8 * (item.aux & 1)
            self.readers = self.readers & ~(0xFF << shift) | (item.amount & 0xFF) << shift
            return
        if kind in record.OPERATIONS:
            self.last_operation = item.seq

    def _follow_day(self, item) -> None:
        kind, day = item.type, item.day
        if kind == record.CLOSE_DAY:
            self.day = day + 1
            self.day_count = self.day_last = 0
        elif kind in record.OPERATIONS:
            if not self.day_sure or self.day_sure < day <= self.day_sure + _WEEKEND_DAYS:
                self.day_sure = day
            if day > self.day:
                self.day = day
                self.day_count = 0
            self.day_count += 1
            self.day_last = item.seq

    def _follow_clock(self, item) -> None:
        if item.flags == record.CLOCK_SET:
            self.day_before_set = self.day
            # What is open may be the day behind one that was closed for this very step.
            self.day_sure = max(self.day_sure, self.day - 1)
        elif item.flags == record.CLOCK_CONFIRMED and item.day < self.day:
            # Taken back.  The day of before, if it was closed, stays closed.
            self.day = self.day_sure = item.day
            self.day_count = self.day_last = 0

    def _follow_passage(self, item) -> None:
        if item.flags & record.PASS_STAGE == record.PASS_OPENED:
            self.open_passage = item.seq
        elif item.aux == self.open_passage:
            self.open_passage = 0

    def pack(self) -> bytes:
        """The state as bytes for a checkpoint."""
        return _STATE.pack(
            self.next_seq,
            self.acked,
            self.incarnation,
            self.incarnation_id,
            self.table_version,
            self.settings_version,
            self.last_operation,
            self.open_passage,
            self.locked,
            self.readers,
            self.day,
            self.day_count,
            self.day_last,
            self.day_before_set,
            self.benefits_from,
            self.command,
            self.day_sure,
            self.books,
        )

    def load(self, data) -> None:
        """Take the state out of a checkpoint."""
        values = _STATE.unpack(data)
        self.next_seq, self.acked, self.incarnation, self.incarnation_id = values[:4]
        self.table_version, self.settings_version, self.last_operation, self.open_passage = values[4:8]
        self.locked, self.readers, self.day, self.day_count, self.day_last = values[8:13]
        self.day_before_set, self.benefits_from, self.command, self.day_sure = values[13:17]
        self.books = bytes(values[17])
