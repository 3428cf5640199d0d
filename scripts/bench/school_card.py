"""The card set of `bench tap` in a folder, and MicroPython to run on it."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

from protocols.card.credential import DEVICE_REFERENCE_SIZE, card_ref
from protocols.wire import messages, table
from reader_host.virtual.build import build
from scripts.bench.programs import outcome_of
from scripts.bench.report import BenchError

ROOT = Path(__file__).resolve().parents[2]
# The 64-bit port's equal of 128 KB on a chip: its objects are twice as big.
HEAP_KB = 256

IMAGES = ("product", "file_per_card", "one_file")

# scripts/bench/chip/product.py has the same key.
_KEY = bytes(range(32))
_SEED = 20250901
_RIGHTS_BEFORE, _RIGHTS, _PRICE, _CAP = 10000, 30000, 8500, 50000
_BLOCKED_IN = 100
_JOURNAL_SIZE = 1024 * 1024
_HEAP_STEP_KB, _HEAP_MOST_KB = 32, 16384
_MAKER_HEAP_KB = 65536


class CardSet:
    """Cards, taps and the flash images made of them.

    `littlefs`: parameters in bytes; `images_kb`: the size of each image, by the name of its maker.
    """

    def __init__(self, folder: Path, *, cards: int, littlefs: str) -> None:
        self._folder = folder
        self._choice = littlefs
        self._firmware = build(users=sorted((ROOT / "scripts" / "bench" / "chip").glob("*.py")))
        self.credentials = _write_cards(folder, cards)
        self.images_kb: dict[str, int] = {}
        self.littlefs: dict[str, int] = {}
        for image in IMAGES:
            made = self._micropython("prepare", image, heap_kb=_MAKER_HEAP_KB)
            self.images_kb[image] = made["image_kb"]
            self.littlefs = made["littlefs"]

    def measure(
        self, way: str, taps: int, *, heap_kb: int = HEAP_KB, program: str = "measure"
    ) -> dict[str, Any]:
        """One process of one way on a fresh copy of its image; chip/measure.py says what comes back.

        `program`: "measure", or "steady" for taps without a pause (chip/steady.py).
        """
        chosen = random.Random(_SEED).choices(self.credentials, k=taps)
        folder = self._folder
        (folder / "taps.txt").write_text("\n".join(chosen) + "\n", encoding="ascii")
        image = way if way in IMAGES else "product"
        shutil.copyfile(folder / f"{image}.first", folder / "storage.bin")
        if way == "gate":
            (folder / "journal.bin").write_bytes(b"\xff" * _JOURNAL_SIZE)
        else:
            shutil.copyfile(folder / "journal.first", folder / "journal.bin")
        outcome = self._micropython(program, way, heap_kb=heap_kb)
        if outcome.get("faults"):
            raise BenchError(f"{way}: the device showed {outcome['faults']}")
        return outcome

    def heap_needed_kb(self, way: str, taps: int) -> int:
        """The smallest heap, to a step of 32 KB, in which a way works; 0 when the largest is too small."""
        low, high = 0, _HEAP_MOST_KB // _HEAP_STEP_KB
        if not self._fits(way, taps, high):
            return 0
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._fits(way, taps, middle) else (middle, high)
        return high * _HEAP_STEP_KB

    def _fits(self, way: str, taps: int, steps: int) -> bool:
        return "memory_error" not in self.measure(way, taps, heap_kb=steps * _HEAP_STEP_KB)

    def _micropython(self, program: str, argument: str, *, heap_kb: int) -> dict[str, Any]:
        """The JSON object that a program of scripts/bench/chip printed; BenchError when it failed."""
        # The firmware as its build compiled it, then the programs of the bench in source form.
        paths = {"MICROPYPATH": f"{self._firmware}:{ROOT}"}
        interpreter = Path(sys.executable).parent / "micropython"
        module = f"scripts.bench.chip.{program}"
        words = [argument, str(self._folder), self._choice]
        command = [str(interpreter), "-X", f"heapsize={heap_kb}k", "-m", module, *words]
        return outcome_of(f"{program} on MicroPython", command, folder=self._folder, paths=paths)


def _write_cards(folder: Path, count: int) -> list[str]:
    """The card set, two account tables and the settings as files; returns the credentials."""
    source = random.Random(_SEED)
    credentials = sorted({f"a:04{source.getrandbits(48):012X}" for _ in range(count)})
    rows, lines = [], []
    for number, credential in enumerate(credentials):
        account, blocked, class_number = source.getrandbits(32) or 1, number % _BLOCKED_IN == 0, number % 44
        reference = card_ref(_KEY, credential)[:DEVICE_REFERENCE_SIZE]
        flags = table.BLOCKED if blocked else 0
        rows.append(table.Row(reference, account, _RIGHTS, 0, flags, class_number))
        lines.append(f"{credential} {account} {_RIGHTS} 0 {int(blocked)} {class_number}\n")
    (folder / "cards.txt").write_text("".join(lines), encoding="ascii")
    before = [row._replace(rights=_RIGHTS_BEFORE) for row in rows]
    (folder / "accounts.1").write_bytes(table.build(before, 1))
    (folder / "accounts.2").write_bytes(table.build(rows, 2))
    flags = messages.FIXED_MOMENT | messages.OFFLINE_AT_ONCE
    menu = (messages.MenuItem(1, 0, 24 * 60 - 1, _PRICE, 0),)
    settings = messages.pack_settings(
        messages.Settings(1, 180, 3000, 400, 5000, flags, _CAP, 0, 0xFFFF, 0, menu)
    )
    (folder / "settings.bin").write_bytes(settings + crc32(settings).to_bytes(4, "little"))
    return credentials
