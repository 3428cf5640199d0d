"""`bench tap`, the host's half: the rounds, the ratios, the goals.

Every way gets its own littlefs image of the same cards, the same parameters, the same taps in the same order
(fixed seed), the same heap and the same interpreter; rounds alternate between the ways, so that a slow moment
of the machine meets all of them.  What runs on MicroPython is in scripts/bench/chip.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from scripts.bench.report import Goal, Report, Row
from scripts.bench.school_card import HEAP_KB, CardSet

FASTER_THAN_FILES = 100
READS_BELOW = 12
TABLE_HEAP_BELOW = 4096

GATE, LINE = "gate", "canteen"
FILES, ONE = "file_per_card", "one_file"
NAMES = {
    GATE: "product: a gate",
    LINE: "product: a canteen line",
    FILES: "a JSON file per card",
    ONE: "one JSON file in a dict",
}
# Taps without a pause, for each tap of a round: 10,000 of them when nothing is said.
_STEADY_SHARE = 25
# A gate's tap is some twentieth of the clock's tick: so many more of them that a round is good to 2 %.
_GATE_SHARE = 20
# Two records each must fit into the ring of 1 MB that nobody acknowledges.
_TAPS_MAX = 10000
# A way that reads thousands of blocks a tap needs fewer taps for a steady figure.
_RIVAL_SHARE = 2

Outcomes = dict[str, list[dict[str, Any]]]


def run(*, cards: int, taps: int, rounds: int, littlefs: str) -> Report:
    """Measure everything once and give the report.

    `taps` of a line in each of `rounds`, more of a gate, fewer of the rivals.

    `littlefs`: "default" for MicroPython's own parameters, "port" for
    those of the product's port; all ways have the same.  Raises BenchError when something does not run.
    """
    with tempfile.TemporaryDirectory(prefix="klasskart-bench-") as folder:
        card_set = CardSet(Path(folder), cards=cards, littlefs=littlefs)
        one_heap_kb = card_set.heap_needed_kb(ONE, taps)
        sha_us = min(card_set.measure("sha", 1)["sha_us"] for _ in range(3))
        outcomes: Outcomes = {way: [] for way in NAMES}
        for _ in range(rounds):
            for way in (GATE, LINE, FILES, ONE):
                heap_kb = max(HEAP_KB, 5 * one_heap_kb // 4) if way == ONE else HEAP_KB
                outcomes[way].append(card_set.measure(way, _count(way, taps), heap_kb=heap_kb))
        many = min(_STEADY_SHARE * taps, _TAPS_MAX)
        steady = {way: card_set.measure(way, many, program="steady") for way in (GATE, LINE)}
        settings = {
            "cards": cards,
            "taps": taps,
            "rounds": rounds,
            "heap_kb": HEAP_KB,
            "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
            "littlefs": " ".join(f"{name}={size}" for name, size in sorted(card_set.littlefs.items())),
            "images_kb": " ".join(f"{name}={size}" for name, size in card_set.images_kb.items()),
        }
    rows = _rows(outcomes, sha_us, one_heap_kb) + _steady_rows(steady)
    return Report("tap", settings, _goals(outcomes), rows)


def _count(way: str, taps: int) -> int:
    """Taps of a way in one round: the cheap ones many times, so that the clock's tick does not matter."""
    if way == GATE:
        return min(_GATE_SHARE * taps, _TAPS_MAX)
    return taps if way == LINE else taps // _RIVAL_SHARE


def _mean(outcomes: Outcomes, way: str, name: str) -> float:
    return sum(outcome[name] for outcome in outcomes[way]) / len(outcomes[way])


def _middle(outcomes: Outcomes, way: str, name: str) -> float:
    return median(outcome[name] for outcome in outcomes[way])


def _operations(outcomes: Outcomes, way: str, where: str, kind: str) -> float:
    return median(outcome[where][kind] for outcome in outcomes[way])


def _times_faster(outcomes: Outcomes, way: str) -> float:
    """How many taps of a way fit into one of the file per card: means of all rounds, for a coarse clock."""
    spent = {name: sum(outcome["us"] for outcome in outcomes[name]) for name in (FILES, way)}
    # Below one tick in all rounds nothing can be said.
    return spent[FILES] / spent[way] if spent[way] else 0.0


def _ratio(part: float, whole: float) -> float | None:
    """None where the whole is below a tick of the clock."""
    return part / whole if whole else None


def _goals(outcomes: Outcomes) -> list[Goal]:
    """One look-up, one decision and one durable record is a tap at a gate: the goal of time is about that.

    A line in the measured state writes two records, and its time is shown without a goal.
    """
    faster = _times_faster(outcomes, GATE)
    goals = [Goal(f"{NAMES[GATE]}: times faster than {NAMES[FILES]}", faster, FASTER_THAN_FILES, True)]
    for way in (GATE, LINE):
        reads = _operations(outcomes, way, "littlefs", "reads")
        goals.append(Goal(f"{NAMES[way]}: littlefs block reads a tap", reads, READS_BELOW, False))
    heap = max(_middle(outcomes, way, "table_heap") for way in (GATE, LINE))
    goals.append(Goal("bytes of heap for the account table", heap, TABLE_HEAP_BELOW, False))
    return goals


def _rows(outcomes: Outcomes, sha_us: float, one_heap_kb: int) -> list[Row]:
    rows = [Row("yardstick", "one sha256 of 64 bytes", sha_us, "us")]
    for way in NAMES:
        rows += _way_rows(outcomes, way, sha_us)
    name = NAMES[ONE]
    fits = 0 < one_heap_kb <= HEAP_KB
    note = (
        f"fits in {HEAP_KB} KB" if fits else f"MemoryError in {HEAP_KB} KB; measured in a heap where it fits"
    )
    rows.append(
        Row(name, "heap it needs", one_heap_kb or None, "KB", one_heap_kb / HEAP_KB, "heap given", note)
    )
    return rows


def _way_rows(outcomes: Outcomes, way: str, sha_us: float) -> list[Row]:
    """Every figure of one way; time against the file per card and against the yardstick."""
    name, us = NAMES[way], _mean(outcomes, way, "us")
    rows = []
    if way != FILES:
        rows.append(Row(name, "tap", us, "us", _ratio(us, _mean(outcomes, FILES, "us")), NAMES[FILES]))
    rows.append(Row(name, "tap", us, "us", us / sha_us, "sha256"))
    files = {kind: _operations(outcomes, FILES, "littlefs", kind) for kind in ("reads", "programs", "erases")}
    for kind, of_files in files.items():
        value = _operations(outcomes, way, "littlefs", kind)
        rows.append(Row(name, f"littlefs {kind}", value, "a tap", value / of_files, NAMES[FILES]))
    rows += _collecting_rows(outcomes, way, us)
    garbage = _middle(outcomes, way, "garbage")
    rows.append(
        Row(
            name,
            "heap garbage",
            garbage,
            "B a tap",
            garbage / _middle(outcomes, FILES, "garbage"),
            NAMES[FILES],
        )
    )
    if way in (GATE, LINE):
        rows += _product_rows(outcomes, way, us)
    rows.append(Row(name, "heap free", _middle(outcomes, way, "heap_free"), "B"))
    return rows


def _collecting_rows(outcomes: Outcomes, way: str, us: float) -> list[Row]:
    """What every way's heap costs after the tap, so that nobody takes it for free."""
    name = NAMES[way]
    collecting = _mean(outcomes, way, "collecting_us")
    rows = [
        Row(name, "collecting the heap afterwards", collecting, "us a tap", _ratio(collecting, us), "tap")
    ]
    if way != FILES:
        files = _mean(outcomes, FILES, "us") + _mean(outcomes, FILES, "collecting_us")
        share = _ratio(us + collecting, files)
        rows.append(Row(name, "tap and collecting", us + collecting, "us", share, NAMES[FILES]))
    return rows


def _steady_rows(steady: dict[str, dict[str, Any]]) -> list[Row]:
    """Tap after tap without a pause: the heap at the end and the worst moment of it."""
    rows = []
    for way, outcome in steady.items():
        name = f"{NAMES[way]}, no pause"
        size = outcome["heap_size"]
        rows += [
            Row(name, "taps", outcome["taps"], "taps"),
            Row(name, "heap in use, growth", outcome["late"] - outcome["early"], "B", note="from tap 200 on"),
            Row(name, "heap in use, most", outcome["most"], "B", outcome["most"] / size, "heap"),
            Row(name, "longest free piece at the end", outcome["late_longest_free"], "B"),
            Row(name, "with a collection inside", outcome["interrupted"], "taps"),
        ]
    return rows


def _product_rows(outcomes: Outcomes, way: str, us: float) -> list[Row]:
    """The journal's own flash, and what is left for the moment after the tap."""
    name = NAMES[way]
    rows = [
        Row(
            name,
            f"journal {kind}",
            _operations(outcomes, way, "journal", kind),
            "a tap",
            note="read-back" if kind == "reads" else "",
        )
        for kind in ("reads", "programs", "erases")
    ]
    floor = _middle(outcomes, way, "floor_us")
    note = "two HMACs, one look-up, one program, one read-back"
    rows.append(Row(name, "floor of a tap", floor, "us", _ratio(floor, us), "tap", note))
    quiet = "rotor and its record" if way == GATE else "share of the counters' checkpoint"
    quiet_us = _mean(outcomes, way, "quiet_us")
    rows.append(Row(name, "afterwards", quiet_us, "us", _ratio(quiet_us, us), "tap", quiet))
    reads = _operations(outcomes, way, "quiet", "reads")
    rows.append(Row(name, "afterwards, all reads", reads, "a tap"))
    rows.append(Row(name, "heap of the account table", _middle(outcomes, way, "table_heap"), "B"))
    return rows
