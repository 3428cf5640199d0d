"""Tap after tap without a pause: does the heap stay as it is?

    micropython -X heapsize=256k -m scripts.bench.chip.steady WAY FOLDER CHOICE

WAY: gate, canteen.  The board gets its next card at once: one round of its loop lies in between, in which
a checkpoint goes on by one step.  Prints one JSON object: bytes in use after the early taps and after the
last, the most that was ever in use, the longest free piece before and after, how many taps the interpreter
interrupted with a collection of its own.
"""

import gc
import json
import sys

from firmware.app.heap import Heap
from scripts.bench.chip import flash_image
from scripts.bench.chip.measure import _FIRST_UTC, _SECONDS_BETWEEN, make

# The memory of taps and the overlay are full by then.
_EARLY = 200


def in_use() -> int:
    """Bytes of heap that live."""
    gc.collect()
    return gc.mem_alloc()


def longest_free() -> int:
    """The longest piece that can be had, to a step of 256 bytes."""
    gc.collect()
    low, high = 0, gc.mem_free() // 256 + 1
    while high - low > 1:
        middle = (low + high) // 2
        try:
            bytearray(middle * 256)
            low = middle
        except MemoryError:
            high = middle
        gc.collect()
    return low * 256


def run(way, folder: str) -> dict:
    """All taps of the file, one after the other."""
    heap = Heap()
    most = early = early_free = count = allowed = interrupted = 0
    with open(folder + "/taps.txt") as file:
        for line in file:
            before = gc.mem_alloc()
            allowed += way.tap(line.strip(), _FIRST_UTC + _SECONDS_BETWEEN * count)
            # A tap makes garbage: less is in use after it only when the interpreter collected inside.
            interrupted += gc.mem_alloc() < before
            way.turn()
            most = max(most, gc.mem_alloc())
            heap.rest()
            count += 1
            if count == _EARLY:
                early, early_free = in_use(), longest_free()
    return {
        "taps": count,
        "allowed": allowed / count,
        "early": early,
        "early_longest_free": early_free,
        "most": most,
        "late": in_use(),
        "late_longest_free": longest_free(),
        "interrupted": interrupted,
        "collections": heap.collections / count,
    }


def main(name: str, folder: str, choice: str) -> None:
    """Print the figures of one way."""
    flash_image.mount(folder + "/storage.bin", choice)
    way, _journal = make(name, folder)
    result = run(way, folder)
    result["heap_size"] = gc.mem_alloc() + gc.mem_free()
    result["faults"] = way.facts()["faults"]
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
