"""The raw archive: what devices sent, what they were given, what people decided: files outside the database.

Promises: append() returns after the bytes are on the disk (fsync); what was
returned for is read back byte for byte, whatever tore the file behind it; files
are by UTC day, are read in the order in which they were written, whatever the
clock did, and only ever grow.  Records may stand here twice, after a crash
between archive and commit: readers know them by (device, epoch, seq).  Batches of
several processes stand whole behind each other: each is one write at the end.
Leaves the replay of a lost database to recovery.

    frame: magic 'KKA1' | u8 kind | u32 length | u32 crc32 of kind, length, payload | payload
    payload: u32 school | u32 device | u32 epoch | u32 time of the cloud | rows
    kind 1, records: raw records of 32 bytes
    kind 2, grants: u32 account | u32 bucket | u32 G total
    kind 3, incarnation (device and epoch 0): u32 counter | u32 random id
    kind 4, losing branch: 32 B chain state before | raw records of 32 bytes
    kind 5, prices (device 0, epoch: version of the settings): u32 good | u32 price in minor units
    kind 6, request for money back (device: account, epoch: parts paid so far): u8 state | u32 wanted
      | u32 the part that is paid now, or 0 | u32 asked at | key, reason, asked by: u16 bytes | UTF-8
    kind 7, payouts of a school are held, or go on (device, epoch 0): u8 goes on | who, why: u16 bytes | UTF-8
    kind 8, a person has closed, opened or wiped a card (device: account, epoch 0): u8 state | 16 B card_ref
      | who: u16 bytes | UTF-8
    kind 9, report of a lost card (device: account, epoch: its number): 16 B card_ref | u32 gone since
      | u32 reported at | u32 table version | u32 ended at, or 0 | reporter, who, reason, ended by, why ended:
      u16 bytes | UTF-8
    kind 10, decision about a purchase with a lost card (device, epoch): u32 seq | u32 number of the report
      | u32 amount | u32 asked at | u32 decided at, or 0
      | payer, state, request, asked by, reason, decided by: u16 bytes | UTF-8
"""

import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zlib import crc32

from protocols.ledger.record import SIZE

_MAGIC = b"KKA1"
_RECORDS, _GRANTS, _INCARNATION, _BRANCH, _PRICES, _PAYOUT, _HOLD = 1, 2, 3, 4, 5, 6, 7
_CARD_STATE, _REPORT, _DECISION = 8, 9, 10
_CHAIN_SIZE = 32
_NUMBERS = struct.Struct("<II")
_HEAD = struct.Struct("<4sBII")
_SOURCE = struct.Struct("<IIII")
_GRANT = struct.Struct("<III")
_REQUEST = struct.Struct("<BIII")
_STATE = struct.Struct("<B16s")
_LOSS = struct.Struct("<16sIIII")
_SALE = struct.Struct("<IIIII")
_TEXT = struct.Struct("<H")
_PAYLOAD_MAX = 1 << 24


class Records(NamedTuple):
    """Raw records of one device as they came, a multiple of 32 bytes; `received_at` UTC seconds."""

    school_id: int
    device_id: int
    epoch: int
    received_at: int
    raw: bytes


class Grants(NamedTuple):
    """G totals that were given to one device: rows of (account_id, bucket, total)."""

    school_id: int
    device_id: int
    epoch: int
    granted_at: int
    rows: tuple[tuple[int, int, int], ...]


class Incarnation(NamedTuple):
    """A school's cloud began anew after a restore, under this counter and random id."""

    school_id: int
    counter: int
    number: int
    began_at: int


class Branch(NamedTuple):
    """Raw records of a losing branch, with the chain state before the first."""

    school_id: int
    device_id: int
    epoch: int
    received_at: int
    previous_mac: bytes
    raw: bytes


class Prices(NamedTuple):
    """What devices of a school may sell at by settings of this version: rows of (good_id, price_minor)."""

    school_id: int
    version: int
    told_at: int
    rows: tuple[tuple[int, int], ...]


class Payout(NamedTuple):
    """A request for money back as it stands after a change: `parts` were paid, the last of them `part_minor`.

    `part_minor` is 0 when nothing is paid by this change; `state`: its place in payouts.STATES.
    """

    school_id: int
    account_id: int
    parts: int
    changed_at: int
    state: int
    wanted_minor: int
    part_minor: int
    asked_at: int
    external_key: str
    reason: str
    asked_by: str


class Hold(NamedTuple):
    """A school's payouts are held since a restore, `who` empty, or were let go on by `who`."""

    school_id: int
    changed_at: int
    goes_on: bool
    who: str
    why: str


class CardState(NamedTuple):
    """What a person made of a card: `state`: its place in cards.STATES."""

    school_id: int
    account_id: int
    changed_at: int
    state: int
    card_ref: bytes
    who: str


class Report(NamedTuple):
    """A report of a lost card as it stands after a change; `ended_at` is 0 while it is open."""

    school_id: int
    account_id: int
    number: int
    changed_at: int
    card_ref: bytes
    lost_at: int
    reported_at: int
    table_version: int
    ended_at: int
    reporter: str
    who: str
    reason: str
    ended_by: str
    end_reason: str


class Decision(NamedTuple):
    """What people decided about one sale with a lost card; `decided_at` is 0 until a second one has."""

    school_id: int
    device_id: int
    epoch: int
    changed_at: int
    seq: int
    number: int
    amount_minor: int
    asked_at: int
    decided_at: int
    payer: str
    state: str
    request: str
    asked_by: str
    reason: str
    decided_by: str


Decided = Payout | Hold | CardState | Report | Decision
"""What people decided: no device says it again."""
Item = Records | Grants | Incarnation | Branch | Prices | Decided


class ArchiveBroken(Exception):
    """The disk took only a part of a frame: nothing of this batch may be acknowledged."""


class Archive:
    """Appends to the files of one folder."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path: Path | None = None
        self._handle = -1
        self._length = -1
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(1, "archive")

    def append(self, items: Iterable[Item], now: int) -> None:
        """Write frames into the file of the day of `now` (UTC seconds) and wait for the disk.

        Never into an older file than the newest: where the clock once ran ahead, that day's file goes on.
        """
        frames = b"".join(_frame(item) for item in items)
        if not frames:
            return
        with self._lock:
            handle = self._open(now)
            if os.write(handle, frames) != len(frames):
                raise ArchiveBroken(str(self._path))
            os.fdatasync(handle)
            if self._length >= 0:
                self._length += len(frames)

    def append_meanwhile(self, items: Iterable[Item], now: int) -> Callable[[], None]:
        """The same in a thread, while the database works; call what this returns to wait for the disk."""
        return self._threads.submit(self.append, list(items), now).result

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._path = -1, None

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def length(self) -> int:
        """The bytes of all files together, as far as this process has seen them: it only grows."""
        if self._length < 0:
            self._length = sum(path.stat().st_size for path in self._folder.glob("*.kka"))
        return self._length

    def read(self) -> Iterator[Item]:
        """Everything in the archive, oldest file first; a torn frame is passed over."""
        for path in sorted(self._folder.glob("*.kka")):
            yield from read_file(path)

    def _open(self, now: int) -> int:
        name = time.strftime("%Y-%m-%d.kka", time.gmtime(now))
        if self._path is None or name > self._path.name:
            self.close()
            path = self._folder / max([name, *(each.name for each in self._folder.glob("*.kka"))])
            is_new = not path.exists()
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._path = path
            if is_new:
                _sync_folder(self._folder)
        return self._handle


def read_file(path: Path) -> Iterator[Item]:
    """The frames of one file; after damage reading goes on at the next whole frame."""
    data = path.read_bytes()
    place = data.find(_MAGIC)
    while place >= 0:
        item, size = _parse(data, place)
        if item is not None:
            yield item
        place = data.find(_MAGIC, place + (size or 1))


def _frame(item: Item) -> bytes:
    if isinstance(item, Records):
        kind, payload = _RECORDS, _SOURCE.pack(*item[:4]) + item.raw
    elif isinstance(item, Branch):
        kind, payload = _BRANCH, _SOURCE.pack(*item[:4]) + item.previous_mac + item.raw
    elif isinstance(item, Incarnation):
        source = _SOURCE.pack(item.school_id, 0, 0, item.began_at)
        kind, payload = _INCARNATION, source + _NUMBERS.pack(item.counter, item.number)
    elif isinstance(item, Prices):
        source = _SOURCE.pack(item.school_id, 0, item.version, item.told_at)
        kind, payload = _PRICES, source + b"".join(_NUMBERS.pack(*row) for row in item.rows)
    elif isinstance(item, Payout):
        kind, payload = _PAYOUT, _SOURCE.pack(*item[:4]) + _REQUEST.pack(*item[4:8]) + _packed(*item[8:])
    elif isinstance(item, CardState):
        source = _SOURCE.pack(item.school_id, item.account_id, 0, item.changed_at)
        kind, payload = _CARD_STATE, source + _STATE.pack(item.state, item.card_ref) + _packed(item.who)
    elif isinstance(item, Report):
        kind, payload = _REPORT, _SOURCE.pack(*item[:4]) + _LOSS.pack(*item[4:9]) + _packed(*item[9:])
    elif isinstance(item, Decision):
        kind, payload = _DECISION, _SOURCE.pack(*item[:4]) + _SALE.pack(*item[4:9]) + _packed(*item[9:])
    elif isinstance(item, Hold):
        source = _SOURCE.pack(item.school_id, 0, 0, item.changed_at)
        kind, payload = _HOLD, source + bytes((item.goes_on,)) + _packed(item.who, item.why)
    else:
        rows = b"".join(_GRANT.pack(*row) for row in item.rows)
        kind, payload = _GRANTS, _SOURCE.pack(*item[:4]) + rows
    check = crc32(payload, crc32(struct.pack("<BI", kind, len(payload))))
    return _HEAD.pack(_MAGIC, kind, len(payload), check) + payload


def _parse(data: bytes, place: int) -> tuple[Item | None, int]:
    """(item, size of its frame), or (None, 0) where no whole frame stands."""
    if len(data) - place < _HEAD.size:
        return None, 0
    _magic, kind, length, check = _HEAD.unpack_from(data, place)
    start = place + _HEAD.size
    if length > _PAYLOAD_MAX or len(data) - start < length or length < _SOURCE.size:
        return None, 0
    payload = data[start : start + length]
    if crc32(payload, crc32(struct.pack("<BI", kind, length))) != check:
        return None, 0
    return _item(kind, payload), _HEAD.size + length


def _item(kind: int, payload: bytes) -> Item | None:
    school_id, device_id, epoch, moment = _SOURCE.unpack_from(payload)
    rest = payload[_SOURCE.size :]
    if kind == _RECORDS and len(rest) % SIZE == 0:
        return Records(school_id, device_id, epoch, moment, rest)
    if kind == _GRANTS and len(rest) % _GRANT.size == 0:
        rows = tuple((account, bucket, total) for account, bucket, total in _GRANT.iter_unpack(rest))
        return Grants(school_id, device_id, epoch, moment, rows)
    if kind == _INCARNATION and len(rest) == _NUMBERS.size:
        counter, number = _NUMBERS.unpack(rest)
        return Incarnation(school_id, counter, number, moment)
    if kind == _PRICES and len(rest) % _NUMBERS.size == 0:
        return Prices(school_id, epoch, moment, tuple(_NUMBERS.iter_unpack(rest)))
    if kind == _BRANCH and len(rest) >= _CHAIN_SIZE and (len(rest) - _CHAIN_SIZE) % SIZE == 0:
        return Branch(school_id, device_id, epoch, moment, rest[:_CHAIN_SIZE], rest[_CHAIN_SIZE:])
    return _decided(kind, (school_id, device_id, epoch, moment), rest)


def _decided(kind: int, source: tuple[int, int, int, int], rest: bytes) -> Decided | None:
    school_id, device_id, _epoch, moment = source
    if kind == _PAYOUT and len(rest) >= _REQUEST.size:
        texts = _texts(rest[_REQUEST.size :])
        if len(texts) == 3:
            return Payout(*source, *_REQUEST.unpack_from(rest), *texts)
    if kind == _HOLD and rest:
        texts = _texts(rest[1:])
        if len(texts) == 2:
            return Hold(school_id, moment, bool(rest[0]), *texts)
    if kind == _CARD_STATE and len(rest) >= _STATE.size:
        texts = _texts(rest[_STATE.size :])
        if len(texts) == 1:
            return CardState(school_id, device_id, moment, *_STATE.unpack_from(rest), *texts)
    if kind == _REPORT and len(rest) >= _LOSS.size:
        texts = _texts(rest[_LOSS.size :])
        if len(texts) == 5:
            return Report(*source, *_LOSS.unpack_from(rest), *texts)
    if kind == _DECISION and len(rest) >= _SALE.size:
        texts = _texts(rest[_SALE.size :])
        if len(texts) == 6:
            return Decision(*source, *_SALE.unpack_from(rest), *texts)
    return None


def _packed(*texts: str) -> bytes:
    raw = [text.encode() for text in texts]
    return b"".join(_TEXT.pack(len(each)) + each for each in raw)


def _texts(data: bytes) -> list[str]:
    """Texts behind each other; what is cut off is no text."""
    found, place = [], 0
    while place + _TEXT.size <= len(data):
        (length,) = _TEXT.unpack_from(data, place)
        place += _TEXT.size + length
        if place > len(data):
            break
        found.append(data[place - length : place].decode("utf-8", "replace"))
    return found


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
