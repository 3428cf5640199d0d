"""Measure one way of handling taps on MicroPython, in a process of its own with a bounded heap.

    micropython -X heapsize=256k -m scripts.bench.chip.measure WAY FOLDER CHOICE

WAY: gate, canteen, file_per_card, one_file, sha.  FOLDER holds storage.bin (littlefs), journal.bin and
taps.txt (one credential a line); CHOICE is that of flash_image.  Prints one JSON object: CPU microseconds,
flash operations and bytes of heap garbage, each per tap.  A heap too small prints {"memory_error": true}.
Every way rests as the product does (firmware/app/heap.py); collecting its heap after a tap is counted apart.
"""

import gc
import hashlib
import json
import sys
import time

from firmware.app.heap import Heap
from firmware.ports.host_storage import FileStorage
from scripts.bench.chip import flash_image
from scripts.bench.chip.json_ways import FilePerCard, OneFile

_WARM_UP = 16
_GARBAGE_TAPS = 24
_SHA_COUNT, _SHA_BATCHES = 200, 20
_FIRST_UTC = 1756710000
# Longer than the window of a repeated tap, so that a card drawn twice in a row is decided twice.
_SECONDS_BETWEEN = 5
_FLOOR_TAPS = 64
_KINDS = ("reads", "programs", "erases")


def make(way: str, folder: str) -> tuple:
    """The way of that name, opened, and the flash of its journal or None."""
    if way in ("file_per_card", "one_file"):
        flash_image.collect_as_usual()
    if way == "file_per_card":
        return FilePerCard(flash_image.MOUNT_POINT), None
    if way == "one_file":
        return OneFile(flash_image.MOUNT_POINT), None
    # Imported here: the rivals' heap holds none of the product's code.
    from scripts.bench.chip.product import Product

    storage = FileStorage(flash_image.MOUNT_POINT)
    if way == "gate":
        # The image and its journal belong to a line; a gate holds no rights and starts from an empty journal.
        storage.remove("counters")
    product = Product(way, folder, storage)
    return product, product.flash


def sha_us() -> float:
    """Microseconds of one sha256 of 64 bytes in an empty heap: a yardstick that travels."""
    block = bytes(64)
    best = 0.0
    for _ in range(_SHA_BATCHES):
        gc.collect()
        started = time.ticks_us()
        for _ in range(_SHA_COUNT):
            hashlib.sha256(block).digest()
        took = time.ticks_diff(time.ticks_us(), started) / _SHA_COUNT
        best = min(best or took, took)
    return best


class Taps:
    """The taps of the host's file in their order, one in the heap at a time: all of them would fill it."""

    def __init__(self, folder: str) -> None:
        self._file = open(folder + "/taps.txt", "rb")
        self._line = self._file.readline()
        self.count = self._file.seek(0, 2) // len(self._line)

    def part(self, first: int, after: int):
        """Yield (credential, UTC seconds) of taps first..after-1."""
        line = bytearray(len(self._line))
        self._file.seek(first * len(line))
        for index in range(first, after):
            self._file.readinto(line)
            yield str(line[:-1], "ascii"), _FIRST_UTC + _SECONDS_BETWEEN * index


def settle(way) -> None:
    """What a way leaves for the quiet moment after a tap."""
    if hasattr(way, "settle"):
        way.settle()


def garbage(way, taps: Taps, first: int, after: int) -> float:
    """Bytes that one tap leaves to the collector, on average."""
    total = 0
    for credential, utc in taps.part(first, after):
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        way.tap(credential, utc)
        total += gc.mem_alloc() - before
        gc.enable()
        settle(way)
    return total / (after - first)


def now_us() -> int:
    """CPU microseconds of this process: what the neighbours of a busy machine do does not count.

    A wall clock would favour a short tap, which is rarely stopped in the middle.  Where the clock ticks
    once in a millisecond, as in some virtual machines, only a mean over many taps tells something.
    """
    return int(time.clock() * 1000000)


def timed(way, heap: Heap, taps: Taps, first: int, count: int) -> tuple:
    """(CPU microseconds of a tap, of the quiet work after it, of collecting the heap then), all means."""
    spent = quiet = collecting = 0
    tap = way.tap
    gc.collect()
    for credential, utc in taps.part(first, first + count):
        started = now_us()
        tap(credential, utc)
        ended = now_us()
        settle(way)
        settled = now_us()
        heap.rest()
        collecting += now_us() - settled
        spent += ended - started
        quiet += settled - ended
    return spent / count, quiet / count, collecting / count


def floor_us(way, taps: Taps) -> float:
    """Microseconds of what no tap can do without: the median over the first taps of the file."""
    gc.collect()
    spent = []
    for number, (credential, _utc) in enumerate(taps.part(0, _FLOOR_TAPS)):
        started = time.ticks_us()
        way.floor(credential, way.flash.size - 32 * (number + 1))
        spent.append(time.ticks_diff(time.ticks_us(), started))
    return middle(spent)


def middle(values: list) -> float:
    """The median of an even number of values."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return (ordered[half - 1] + ordered[half]) / 2


class Counter:
    """Adds up the operations of one flash between two looks."""

    def __init__(self, flash) -> None:
        self._flash = flash
        self._last = self._now()

    def _now(self) -> tuple:
        flash = self._flash
        return (0, 0, 0) if flash is None else (flash.reads, flash.programs, flash.erases)

    def add(self, sums: dict) -> None:
        """Add what was done since the last look to the sums, or to none to forget it."""
        now = self._now()
        for index, kind in enumerate(_KINDS):
            sums[kind] = sums.get(kind, 0) + now[index] - self._last[index]
        self._last = now


def counted(way, taps: Taps, first: int, storage: Counter, journal: Counter) -> dict:
    """Flash operations per tap: of littlefs, of the journal, and both in the quiet moment."""
    sums = {"littlefs": {}, "journal": {}, "quiet": {}}
    storage.add({})
    journal.add({})
    allowed = 0
    count = taps.count - first
    for credential, utc in taps.part(first, taps.count):
        allowed += way.tap(credential, utc)
        storage.add(sums["littlefs"])
        journal.add(sums["journal"])
        settle(way)
        storage.add(sums["quiet"])
        journal.add(sums["quiet"])
    result = {"allowed": allowed / count}
    for name in sums:
        result[name] = {kind: number / count for kind, number in sums[name].items()}
    return result


def measure(name: str, folder: str, choice: str) -> dict:
    """Open the way, warm it, measure it."""
    flash = flash_image.mount(folder + "/storage.bin", choice)
    taps = Taps(folder)
    begin = _WARM_UP + _GARBAGE_TAPS
    half_count = (taps.count - begin) // 2
    half = begin + half_count
    gc.collect()
    try:
        way, journal = make(name, folder)
        heap = Heap()
        for credential, utc in taps.part(0, _WARM_UP):
            way.tap(credential, utc)
            settle(way)
        result = {"garbage": garbage(way, taps, _WARM_UP, begin)}
        made = heap.collections
        result["us"], result["quiet_us"], result["collecting_us"] = timed(way, heap, taps, begin, half_count)
        result["collections"] = (heap.collections - made) / half_count
        result.update(counted(way, taps, half, Counter(flash), Counter(journal)))
        if journal is not None:
            result["floor_us"] = floor_us(way, taps)
    except MemoryError:
        return {"memory_error": True}
    gc.collect()
    result["heap_free"] = gc.mem_free()
    if journal is not None:
        result.update(way.facts())
    return result


def main(name: str, folder: str, choice: str) -> None:
    """Print the figures of one way."""
    print(json.dumps({"sha_us": sha_us()} if name == "sha" else measure(name, folder, choice)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
