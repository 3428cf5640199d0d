"""`bench auth`, the host's half: what a board computes while a DESFire EV2 card proves itself.

Promises: all figures of one run; the card's own work is in none of them.  Times are carried to a chip by the
yardstick of all benches, one sha256 of 64 bytes (docs/benchmarks.md says where that comes from and how well).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from reader_host.virtual.build import build
from scripts.bench.programs import outcome_of
from scripts.bench.report import Goal, Report, Row
from scripts.bench.school_card import HEAP_KB, CardSet

PRODUCT, HOST, FLOOR = "product, MicroPython", "the same code, cryptography", "bare AES, MicroPython"
GATE = "product: gate"
TALK = Path(__file__).parent / "desfire_talk.json"
PROGRAM = Path(__file__).parent / "chip" / "card_talk.py"
BUDGET_MS = 150
COMMANDS_MAX = 6
# Milliseconds of one sha256 of 64 bytes on an emulated RP2040 at 125 MHz, measured; and how many times faster
# an ESP32-S3 at 240 MHz runs MicroPython than an RP2040, published.  docs/benchmarks.md names the sources.
RP2040_SHA_MS = 0.20
ESP32_S3_FASTER = 19.8 / 8.9
_CARDS, _TAPS = 500, 4000


def run(*, count: int) -> Report:
    """Measure once; raises BenchError when a part does not run."""
    chip = _measure(_chip(count))
    host = _measure([sys.executable, str(PROGRAM), str(TALK), str(count)])
    with tempfile.TemporaryDirectory(prefix="klasskart-bench-") as folder:
        gate_us = CardSet(Path(folder), cards=_CARDS, littlefs="default").measure("gate", _TAPS)["us"]
    whole_us = chip["identify"]["us"] + gate_us
    budget = {"yardstick": f"{RP2040_SHA_MS} ms a sha256 on an RP2040", "budget_ms": BUDGET_MS}
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    settings = {"count": count, "heap_kb": HEAP_KB, "cards": _CARDS, "load": load, **budget}
    goals = [
        Goal(
            "a gate's decision with authentication: ms on an RP2040",
            _rp2040(whole_us, chip),
            BUDGET_MS,
            False,
        ),
        Goal("commands of identify()", chip["identify"]["commands"], COMMANDS_MAX + 1, False),
    ]
    return Report("auth", settings, goals, _rows(chip, host, gate_us, whole_us))


def _rp2040(us: float, chip: dict[str, Any]) -> float:
    """Milliseconds there of what takes so many microseconds here."""
    return us / float(chip["sha_us"]) * RP2040_SHA_MS


def _rows(chip: dict[str, Any], host: dict[str, Any], gate_us: float, whole_us: float) -> list[Row]:
    rows = [
        Row("yardstick", "one sha256 of 64 bytes", chip["sha_us"], "us"),
        Row(FLOOR, "one block", chip["block_us"], "us", chip["block_us"] / chip["sha_us"], "sha256"),
        Row(
            FLOOR, "setting a key, one block", chip["key_us"], "us", chip["key_us"] / chip["sha_us"], "sha256"
        ),
    ]
    for name in ("authenticate", "identify"):
        rows += _of(name, chip, host)
    rows += [
        Row(GATE, "tap without authentication", gate_us, "us", gate_us / chip["sha_us"], "sha256"),
        Row(GATE, "tap with authentication", whole_us, "us", whole_us / chip["sha_us"], "sha256"),
        Row(GATE, "with it on an RP2040", _rp2040(whole_us, chip), "ms", None, "", "by the yardstick"),
        Row(
            GATE, "with it on an ESP32-S3", _rp2040(whole_us, chip) / ESP32_S3_FASTER, "ms", None, "",
            "by the yardstick and the published ratio",
        ),
        Row(
            GATE, "blocks of AES that the budget would leave room for",
            (BUDGET_MS - _rp2040(whole_us, chip)) / _rp2040(chip["key_us"], chip), "blocks",
        ),
    ]  # fmt: skip
    return rows


def _of(name: str, chip: dict[str, Any], host: dict[str, Any]) -> list[Row]:
    """The rows of authenticate() or of identify()."""
    one, us = chip[name], chip[name]["us"]
    # Every call sets a key: nothing that keeps to the protocol can do with less of the cipher.
    floor_us = one["calls"] * chip["key_us"] + (one["blocks"] - one["calls"]) * chip["block_us"]
    return [
        Row(PRODUCT, f"{name}: APDUs", one["commands"], ""),
        Row(PRODUCT, f"{name}: AES calls", one["calls"], ""),
        Row(PRODUCT, f"{name}: AES blocks", one["blocks"], ""),
        Row(PRODUCT, f"{name}: garbage", one["garbage"], "B"),
        Row(PRODUCT, name, us, "us", us / chip["sha_us"], "sha256"),
        Row(PRODUCT, name, us, "us", us / floor_us, FLOOR),
        Row(PRODUCT, name, us, "us", us / host[name]["us"], HOST),
        Row(FLOOR, name, floor_us, "us", floor_us / chip["sha_us"], "sha256"),
        Row(HOST, name, host[name]["us"], "us"),
    ]


def _chip(count: int) -> list[str]:
    interpreter = Path(sys.executable).parent / "micropython"
    return [str(interpreter), "-X", f"heapsize={HEAP_KB}k", str(PROGRAM), str(TALK), str(count)]


def _measure(command: list[str]) -> dict[str, Any]:
    """The figures that an interpreter printed."""
    root = Path(__file__).resolve().parents[2]
    name = Path(command[0]).name
    folder = build(users=[PROGRAM]) if "micropython" in name else root
    paths = {"MICROPYPATH": str(folder), "PYTHONPATH": str(root)}
    return outcome_of(name, command, folder=folder, paths=paths)
