"""The journal ring on raw flash (LEDGER section 3): what is appended here survives a power cut.

    sector 4096 B = header 64 B + 126 records x 32 B
    header:  0 magic 'KKJ1' | 4 u8 version, 3 B zero | 8 u32 device | 12 u32 epoch
            16 u32 sector ordinal | 20 u32 first seq | 24 32 B chain state before it
            56 u32 erase count | 60 u32 crc32 of bytes 0..59

The ring is handed a flash object with `size`, `sector_size`,
`read_into(offset, buffer)`, `program(offset, data)` (bits only fall) and
`erase(sector)`.  append() returns after the record was programmed and read
back equal.  Leaves to others what the records mean and who may be told of them.
"""

import struct
from array import array
from binascii import crc32

from protocols.errors import (
    FLASH_WRITE,
    JOURNAL_BROKEN,
    JOURNAL_FOREIGN,
    JOURNAL_FULL,
    RECORD_CRC,
    SEQ_FUTURE,
    Fault,
)
from protocols.fields import Layout
from protocols.ledger import record
from protocols.mac import Hmac

MAGIC = b"KKJ1"
VERSION = 1
SECTOR = 4096
HEADER = 64
SLOTS = 126
HORIZON_DAYS = 35

_PAGE = 256
# Pages that a record is tried in before the flash is given up: a whole sector may be worn.
_ATTEMPTS = 2 * SECTOR // _PAGE
# So often a new sector is erased for a header that stands: a page that took no bytes may take them then.
_ERASES = 2
_BLANK = b"\xff" * record.SIZE
_HEADER = Layout(
    "sector header",
    "magic bytes4, version u32, device u32, epoch u32, ordinal u32, first_seq u32, "
    "chain bytes32, erase_count u32",
)
_ORDINAL, _FIRST_SEQ, _CHAIN, _ERASE_COUNT = 4, 5, 6, 7


class Journal:
    """One device's journal in one epoch.

    `horizon_days`: a sector is overwritten only when its last record is
    acknowledged and at least so many days old (35 where it is about money, 0
    for passages).  Faults: JOURNAL_FOREIGN (another device's flash),
    JOURNAL_BROKEN (bit rot: the device must lock itself), JOURNAL_FULL
    (nothing may be overwritten), FLASH_WRITE.  A journal that could not be opened takes nothing: a record
    behind what is broken would be a head for the next start, and the damage ahead of it forgotten.
    """

    def __init__(
        self, flash, chain_key: bytes, device: int, epoch: int, horizon_days: int = HORIZON_DAYS
    ) -> None:
        self._flash = flash
        self._chain = Hmac(chain_key)
        self._chain_key = chain_key
        self._device = device
        self._epoch = epoch
        self._horizon_days = horizon_days
        self._sectors = flash.size // SECTOR
        self._first_seqs = array("I", (0 for _ in range(self._sectors)))
        self._draft = record.Draft()
        self._slot_buffer = bytearray(record.SIZE)
        self._header_buffer = bytearray(HEADER)
        self._ordinal = 0
        self._oldest = 0
        self._slot = 0
        self._cursor: tuple = ()
        self._is_open = False
        self.next_seq = 1
        self.head_mac = b""
        self.acked = 1
        self.torn_count = self.last_day = 0

    # Opening

    def open(self) -> None:
        """Find the head: all headers, then the newest sector.  Makes the first sector of a blank ring."""
        newest = self._read_headers()
        if newest is None:
            self.head_mac = record.genesis(self._chain_key, self._device, self._epoch)
            self._check_begun(0)
            self._start_sector(0, 0)
            self._is_open = True
            return
        self._ordinal = newest
        header = self._header(newest)
        self.next_seq = header[_FIRST_SEQ]
        self.head_mac = header[_CHAIN]
        self._find_oldest()
        self._scan(newest)
        self._check_begun(newest + 1)
        if not self.last_day and newest > self._oldest:
            # The newest sector is empty: the day stands in the one before.
            for item in self._sector_records(newest - 1):
                self.last_day = item.day
        self.acked = self.oldest_seq
        self._is_open = True

    def _read_headers(self):
        """The highest ordinal in the ring, or None when no header is valid."""
        newest = None
        for sector in range(self._sectors):
            header = self._header_at(sector)
            if header is None:
                continue
            if header[2] != self._device or header[3] != self._epoch:
                raise Fault(JOURNAL_FOREIGN, "sector %d" % sector)
            self._first_seqs[sector] = header[_FIRST_SEQ]
            if newest is None or header[_ORDINAL] > newest:
                newest = header[_ORDINAL]
        return newest

    def _header_at(self, sector: int):
        buffer = self._header_buffer
        self._flash.read_into(sector * SECTOR, buffer)
        if bytes(buffer[:4]) != MAGIC or struct.unpack_from("<I", buffer, 60)[0] != crc32(bytes(buffer[:60])):
            return None
        return _HEADER.unpack(buffer)

    def _header(self, ordinal: int) -> tuple:
        header = self._header_at(ordinal % self._sectors)
        if header is None or header[_ORDINAL] != ordinal:
            raise Fault(JOURNAL_BROKEN, "sector %d" % (ordinal % self._sectors), "header")
        return header

    def _find_oldest(self) -> None:
        """The ring holds an unbroken run of ordinals that ends with the newest.

        Only the sector that comes next may be missing: its erase may have been cut.
        """
        oldest = self._ordinal
        while oldest > 0 and self._ordinal - oldest < self._sectors - 1:
            header = self._header_at((oldest - 1) % self._sectors)
            if header is None or header[_ORDINAL] != oldest - 1:
                if self._ordinal - oldest < self._sectors - 2:
                    raise Fault(JOURNAL_BROKEN, "sector %d" % ((oldest - 1) % self._sectors), "header")
                break
            oldest -= 1
        self._oldest = oldest

    def _scan(self, ordinal: int) -> None:
        """Walk the newest sector: verify the chain, count torn writes, find where to go on."""
        last_used = -1
        previous = None
        for slot in range(SLOTS):
            raw = self._read_slot(ordinal, slot)
            if raw == _BLANK:
                continue
            last_used = slot
            try:
                after = record.follow(self._chain, self.head_mac, raw)
            except Fault as fault:
                if fault.code != RECORD_CRC:
                    raise
                self.torn_count += 1
                continue
            if previous is not None and raw == previous:
                continue
            if not after or record.unpack(raw).seq != self.next_seq:
                raise Fault(JOURNAL_BROKEN, "seq %d" % self.next_seq, "chain")
            self.head_mac = after
            self.next_seq += 1
            self.last_day = record.unpack(raw).day
            previous = bytes(raw)
        self._slot = self._next_page(last_used)

    def _check_begun(self, ordinal: int) -> None:
        """JOURNAL_BROKEN when the next records stand behind a header that is none any more: bit rot took it.

        A header that was cut has no records behind it, an erase that was cut only older ones.
        """
        if self._header_at(ordinal % self._sectors) is not None:
            return
        for slot in range(SLOTS):
            raw = self._read_slot(ordinal, slot)
            if raw != _BLANK and record.crc_ok(raw) and record.unpack(raw).seq >= self.next_seq:
                raise Fault(JOURNAL_BROKEN, "sector %d" % (ordinal % self._sectors), "header")

    def _next_page(self, last_used: int) -> int:
        """The first slot of the page after a slot: a page half used at a crash is not written again.

        With -1 the page of the header, which may have been cut too.
        """
        page = (HEADER + last_used * record.SIZE) // _PAGE + 1
        return (page * _PAGE - HEADER) // record.SIZE

    # Appending

    def append(
        self, kind: int, flags: int, day: int, time: int, account: int, amount: int, aux: int, today: int = 0
    ) -> int:
        """Make one record durable before anything else is done; its seq.  `today`: when `day` is over."""
        if not self._is_open:
            raise Fault(JOURNAL_BROKEN, "seq %d" % self.next_seq, "not open")
        seq = self.next_seq
        self._draft.fill(kind, flags, day, seq, time, account, amount, aux)
        mac = self._draft.seal(self._chain, self.head_mac)
        for attempt in range(_ATTEMPTS):
            if self._slot >= SLOTS:
                self._next_sector(max(day, today))
            slot = self._slot
            self._slot += 1
            if self._program(self._offset(self._ordinal, slot), self._draft.raw, self._slot_buffer):
                break
            if attempt == _ATTEMPTS - 1:
                raise Fault(FLASH_WRITE, "sector %d" % (self._ordinal % self._sectors), "slot %d" % slot)
            self._slot = self._next_page(slot)
        self.head_mac = mac
        self.next_seq = seq + 1
        self.last_day = day
        return seq

    def needs_oldest(self, count: int) -> bool:
        """Whether `count` more records (at most SLOTS) want the place of the oldest sector."""
        return self._slot + count > SLOTS and self._ordinal + 1 - self._oldest >= self._sectors

    def check_room(self, count: int, day: int) -> None:
        """Fault(JOURNAL_FULL) unless `count` records (at most SLOTS) fit: asked ahead of what stays whole."""
        if self.needs_oldest(count):
            self._check_expired(self._oldest, day)

    def _program(self, offset: int, data, buffer: bytearray) -> bool:
        """Whether the bytes stand in flash after programming them; they are read back into the buffer."""
        self._flash.program(offset, data)
        self._flash.read_into(offset, buffer)
        return buffer == data

    def _next_sector(self, day: int) -> None:
        ordinal = self._ordinal + 1
        oldest = self._oldest
        if ordinal - oldest >= self._sectors:
            self._check_expired(oldest, day)
            oldest += 1
        header = self._header_at(ordinal % self._sectors)
        erase_count = header[_ERASE_COUNT] + 1 if header else 1
        # The state moves only after the header is durable: a fault or a power
        # cut in between leaves the old newest sector in charge.
        self._start_sector(ordinal, erase_count)
        self._oldest = oldest

    def _check_expired(self, ordinal: int, day: int) -> None:
        """Raise JOURNAL_FULL unless a sector is acknowledged and beyond the horizon."""
        last_seq = self._first_seqs[(ordinal + 1) % self._sectors] - 1
        if last_seq >= self.acked:
            raise Fault(JOURNAL_FULL, "seq %d" % last_seq, "not acknowledged")
        if self._horizon_days:
            newest_day = self._newest_day(ordinal, day)
            if newest_day + self._horizon_days > day:
                raise Fault(JOURNAL_FULL, "day %d" % newest_day, "within the backup horizon")

    def _newest_day(self, ordinal: int, day: int) -> int:
        """The newest day in a sector; if that is later than today, a wrong clock's, the next sector's."""
        newest_day = 0
        for sector in range(ordinal, self._ordinal + 1):
            newest_day = 0
            for item in self._sector_records(sector):
                newest_day = max(newest_day, item.day)
            if newest_day <= day:
                break
        return newest_day

    def _start_sector(self, ordinal: int, erase_count: int) -> None:
        sector = ordinal % self._sectors
        fields = _HEADER.pack(
            MAGIC, VERSION, self._device, self._epoch, ordinal, self.next_seq, self.head_mac, erase_count
        )
        header = fields + struct.pack("<I", crc32(fields))
        for _ in range(_ERASES):
            # Also a sector that reads as blank: its erase may have been cut, and then its cells hold nothing.
            self._flash.erase(sector)
            if self._program(sector * SECTOR, header, self._header_buffer):
                break
        else:
            raise Fault(FLASH_WRITE, "sector %d" % sector, "header")
        self._first_seqs[sector] = self.next_seq
        self._ordinal = ordinal
        self._slot = 0

    # Reading

    @property
    def oldest_seq(self) -> int:
        """The first seq that still lies in the ring."""
        return self._first_seqs[self._oldest % self._sectors]

    def acknowledge(self, next_wanted: int) -> None:
        """The parent holds all before `next_wanted`; Fault(SEQ_FUTURE) when that is beyond the head."""
        if next_wanted > self.next_seq:
            raise Fault(SEQ_FUTURE, "ack %d" % next_wanted, "head %d" % self.next_seq)
        if next_wanted > self.acked:
            self.acked = next_wanted

    def read(self, from_seq: int, count: int) -> tuple:
        """(full MAC before from_seq, up to `count` records as they lie in flash, full MAC after the last).

        The usual caller reads on where it stopped, so the place is remembered.
        Fault(JOURNAL_BROKEN) when the first of them is damaged; what lies before
        a damaged one is still read.
        """
        ordinal, slot, mac = self._seek(from_seq)
        before = mac
        output = bytearray()
        expected = from_seq
        while expected < self.next_seq and len(output) < count * record.SIZE:
            if slot >= SLOTS:
                ordinal, slot = ordinal + 1, 0
                if ordinal > self._ordinal:
                    # Bit rot: the record was durable once, and is nowhere.
                    if not output:
                        raise Fault(JOURNAL_BROKEN, "seq %d" % expected, "missing")
                    break
                continue
            raw = self._read_slot(ordinal, slot)
            slot += 1
            if not self._is_record(raw, expected):
                continue
            mac = self._chain.mac(mac, raw[: record.BODY])
            output += raw
            expected += 1
        self._cursor = (expected, ordinal, slot, mac) if ordinal <= self._ordinal else ()
        return before, bytes(output), mac

    def records(self, from_seq: int):
        """Yield each Record from `from_seq` (or the oldest that is left) to the head.

        Fault(JOURNAL_BROKEN) when one is missing: a sale that is not seen must
        not become rights again.
        """
        ordinal = self._sector_of(max(from_seq, self.oldest_seq))
        expected = self._first_seqs[ordinal % self._sectors]
        while ordinal <= self._ordinal:
            for item in self._sector_records(ordinal):
                expected += 1
                if item.seq >= from_seq:
                    yield item
            ordinal += 1
            after = self.next_seq if ordinal > self._ordinal else self._first_seqs[ordinal % self._sectors]
            if expected < after:
                raise Fault(JOURNAL_BROKEN, "seq %d" % expected, "missing")

    def _sector_records(self, ordinal: int):
        expected = self._first_seqs[ordinal % self._sectors]
        for slot in range(SLOTS):
            if expected >= self.next_seq:
                return
            raw = self._read_slot(ordinal, slot)
            if self._is_record(raw, expected):
                expected += 1
                yield record.unpack(raw)

    def _seek(self, from_seq: int) -> tuple:
        if not self.oldest_seq <= from_seq <= self.next_seq:
            raise Fault(SEQ_FUTURE, "seq %d" % from_seq, "outside the ring")
        if self._cursor and self._cursor[0] == from_seq and self._cursor[1] >= self._oldest:
            return self._cursor[1:]
        ordinal = self._sector_of(from_seq)
        mac = self._header(ordinal)[_CHAIN]
        expected = self._first_seqs[ordinal % self._sectors]
        slot = 0
        while expected < from_seq:
            if slot >= SLOTS:
                raise Fault(JOURNAL_BROKEN, "seq %d" % expected, "missing")
            raw = self._read_slot(ordinal, slot)
            slot += 1
            if self._is_record(raw, expected):
                mac = self._chain.mac(mac, raw[: record.BODY])
                expected += 1
        return ordinal, slot, mac

    def _sector_of(self, seq: int) -> int:
        ordinal = self._ordinal
        while ordinal > self._oldest and self._first_seqs[ordinal % self._sectors] > seq:
            ordinal -= 1
        return ordinal

    def _is_record(self, raw, seq: int) -> bool:
        return raw != _BLANK and record.crc_ok(raw) and record.unpack(raw).seq == seq

    def _offset(self, ordinal: int, slot: int) -> int:
        return (ordinal % self._sectors) * SECTOR + HEADER + slot * record.SIZE

    def _read_slot(self, ordinal: int, slot: int) -> bytearray:
        """The bytes of a slot, in a buffer that the next call uses again."""
        self._flash.read_into(self._offset(ordinal, slot), self._slot_buffer)
        return self._slot_buffer
