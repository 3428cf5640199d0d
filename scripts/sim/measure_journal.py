"""`bench journal`: the ring beside a littlefs file with a flush per record, on the same flash model.

Promises: both get the same records on a chip of the same size; bytes programmed and sectors erased are
counted by the chip itself.  littlefs runs with the block size of the chip and the parameters of MicroPython.
"""

from __future__ import annotations

from typing import Any

from littlefs import LittleFS
from littlefs.context import UserContext

from protocols.ledger import record
from protocols.ledger.journal import SLOTS, Journal
from scripts.bench.report import Goal, Report, Row
from scripts.sim.flash import SECTOR, SimFlash
from scripts.sim.power import Power

ERASES_FEWER = 50
RING, FILE = "the ring", "a littlefs file, flushed"
_KEY = bytes(range(32))
_DAY_RECORDS = 1_075


class _Chip(UserContext):
    """littlefs's view of the same chip."""

    def __init__(self, flash: SimFlash) -> None:
        super().__init__(flash.size)
        self._flash = flash

    def read(self, _settings: Any, block: int, off: int, size: int) -> bytearray:
        buffer = bytearray(size)
        self._flash.reads = 0
        self._flash.read_into(block * SECTOR + off, buffer)
        return buffer

    def prog(self, _settings: Any, block: int, off: int, data: bytes) -> int:
        self._flash.program(block * SECTOR + off, data)
        return 0

    def erase(self, _settings: Any, block: int) -> int:
        self._flash.erase(block)
        return 0

    def sync(self, _settings: Any) -> int:
        return 0


def run(*, records: int, sectors: int) -> Report:
    """Append `records` sales to both, acknowledged as they come, on a chip of `sectors`."""
    ring, file = _ring(records, sectors), _file(records, sectors)
    fewer = file.erases / max(1, ring.erases)
    goals = [Goal("times fewer erases than littlefs", fewer, ERASES_FEWER, True)]
    rows = []
    for name, flash in ((RING, ring), (FILE, file)):
        rows += [
            Row(name, "bytes programmed a record", flash.programmed / records, "B",
                flash.programmed / records / record.SIZE, "the record"),
            Row(name, "bytes programmed a record", flash.programmed / records, "B",
                flash.programmed / ring.programmed, RING),
            Row(name, "erases", flash.erases, "", flash.erases / max(1, ring.erases), RING),
            Row(name, "records an erase", records / max(1, flash.erases), ""),
        ]  # fmt: skip
    settings = {"records": records, "sectors": sectors, "sector_B": SECTOR, "record_B": record.SIZE}
    return Report("journal", settings, goals, rows)


def _ring(records: int, sectors: int) -> SimFlash:
    flash = SimFlash(sectors, Power())
    # As a gate keeps it: what is acknowledged may be overwritten, so that the ring turns on a small chip too.
    journal = Journal(flash, _KEY, 1, 1, 0)
    journal.open()
    for number in range(sectors * SLOTS + records):
        if number == sectors * SLOTS:
            # The ring has turned once: from here on each new sector costs its erase, as it will for years.
            _used(flash)
        flash.reads = 0
        seq = journal.append(*_sale(number))
        journal.acknowledge(seq + 1)
    return flash


def _file(records: int, sectors: int) -> SimFlash:
    flash = SimFlash(sectors, Power())
    system = LittleFS(
        context=_Chip(flash), block_size=SECTOR, block_count=sectors, read_size=32, prog_size=32,
        cache_size=128, lookahead_size=32,
    )  # fmt: skip
    _used(flash)
    journal = system.open("journal", "wb", buffering=0)
    size = 0
    for number in range(records):
        kind, flags, day, time, account, amount, aux = _sale(number)
        body = record.pack_body(record.Record(kind, flags, day, number + 1, time, account, amount, aux))
        journal.write(record.seal(body, bytes(32)))
        journal.flush()
        size += record.SIZE
        if size > sectors * SECTOR // 3:
            # The oldest may go: a file cannot lose its head, so a new one begins.
            journal.close()
            system.remove("journal")
            journal = system.open("journal", "wb", buffering=0)
            size = 0
    journal.close()
    return flash


def _used(flash: SimFlash) -> None:
    """What is counted begins now."""
    flash.programmed = flash.erases = 0


def _sale(number: int) -> tuple[int, int, int, int, int, int, int]:
    day = 20_700 + number // _DAY_RECORDS
    return record.SALE, record.SALE_SINGLE, day, day * 86_400 + number, 1 + number % 640, 8_500, 1
