"""`bench reader`, the host's half: what a look at an empty field costs a board, by reader.

Every way runs on the real MicroPython against a chip with nobody before it; the bus has a time of its own
(see scripts/bench/chip/empty_field.py), so all figures are made of counts and the same on every machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from reader_host.virtual.build import build
from scripts.bench.programs import outcome_of
from scripts.bench.report import Goal, Report, Row

TRANSACTIONS_BELOW = 12
SHORTER_THAN_BLOCKING = 10
RIVAL = "blocking"
NAMES = {
    "mfrc522": "product: MFRC522 on SPI",
    "pn532_spi": "product: PN532 on SPI",
    "pn532_serial": "product: PN532, serial",
    RIVAL: "MFRC522, the usual blocking way",
}
# Frame into the FIFO, Transceive, StartSend, one look at the flags: nobody can ask that chip with less.
FLOOR_TRANSACTIONS, FLOOR_BYTES = 4, 8
_HEAP_KB = 65536


def run(*, polls: int) -> Report:
    """Measure every way once; raises BenchError when one does not run."""
    outcomes = {way: _measure(way, polls) for way in NAMES}
    rival = outcomes[RIVAL]
    product = outcomes["mfrc522"]
    goals = [
        Goal(f"{NAMES['mfrc522']}: transactions a look", product["transactions"], TRANSACTIONS_BELOW, False),
        Goal(
            f"{NAMES['mfrc522']}: times shorter in one call than the blocking way",
            rival["longest_us"] / product["longest_us"],
            SHORTER_THAN_BLOCKING,
            True,
        ),
    ]
    goals += [
        Goal(f"{NAMES[way]}: bytes of heap a look", outcomes[way]["heap"], 1, False)
        for way in NAMES
        if way != RIVAL
    ]
    rows = []
    for way, outcome in outcomes.items():
        rows += _rows(NAMES[way], outcome, rival, is_floor_known=way in ("mfrc522", RIVAL))
    settings = {"polls": polls, "bus": "1 MHz, 40 us a transaction"}
    return Report("reader", settings, goals, rows)


def _rows(name: str, outcome: dict[str, Any], rival: dict[str, Any], *, is_floor_known: bool) -> list[Row]:
    beside = NAMES[RIVAL]
    rows = [
        Row(name, figure, outcome[key], unit, outcome[key] / rival[key], beside)
        for figure, key, unit in (
            ("transactions", "transactions", "a look"),
            ("bytes on the bus", "bytes", "a look"),
            ("heap", "heap", "B a look"),
            ("longest call, bus time", "longest_us", "us"),
            ("share of the time on the bus", "busy", ""),
        )
    ]
    if is_floor_known:
        floor = outcome["transactions"] / FLOOR_TRANSACTIONS
        rows.append(Row(name, "transactions", outcome["transactions"], "a look", floor, "floor"))
        rows.append(
            Row(name, "bytes on the bus", outcome["bytes"], "a look", outcome["bytes"] / FLOOR_BYTES, "floor")
        )
    rows.append(Row(name, "looks", outcome["looks_per_second"], "a second"))
    rows.append(Row(name, "calls of poll()", outcome["calls"], "a look"))
    return rows


def _measure(way: str, polls: int) -> dict[str, Any]:
    """The figures that MicroPython printed."""
    interpreter = Path(sys.executable).parent / "micropython"
    program = Path(__file__).parent / "chip" / "empty_field.py"
    firmware = build(users=[program])
    command = [str(interpreter), "-X", f"heapsize={_HEAP_KB}k", str(program), way, str(polls)]
    return outcome_of(f"{way} on MicroPython", command, folder=firmware, paths={"MICROPYPATH": str(firmware)})
