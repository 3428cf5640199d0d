"""`bench ingest`: records a second from the broker to committed books, beside floors and the tutorial way.

Promises: the real broker, the real ingest with its MQTT client, each a process of its own; every way gets the
same messages in the same order from the same publisher; each run starts from a copy of the same data folder.
The clock runs from the first publish to the moment when every device has its last ACK, which says archived
and committed; for the rivals, until they have handled the last message.  After each run of the product the
books are checked: complete, balanced, nothing refused.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from cloud.bulk import ROWS_AT_ONCE
from scripts.bench import bare_inserts, books_check, school_day
from scripts.bench.device_journal import Message
from scripts.bench.report import BenchError, Goal, Report, Row
from scripts.bench.school_day import SchoolDay
from scripts.bench.stage import Stage
from scripts.play.ports import anywhere

SHARE_OF_FLOOR = 0.5
# As many as the embedded broker hands over before it waits for an acknowledgement.
BATCH_MESSAGES = 100
# The tutorial way is slow: a part of the stream is enough for it.
_TUTORIAL_SHARE = 20

PRODUCT = "product"
DROP = "bare subscriber, drops everything"
INSERTS = "bare batched inserts"
MANY = "bare inserts, 50 rows a statement"
TUTORIAL = "tutorial: insert and commit per record"
_NOTES = {
    DROP: "acknowledges by hand, forgets",
    INSERTS: "executemany, one commit a batch, rows ready in memory",
    MANY: "the product's own trick, without the product; no goal",
    TUTORIAL: "writes the record only: no check, no books",
}


class Run(NamedTuple):
    """Seconds of every way in one repetition, and how many records the tutorial way had."""

    product: float
    drop: float
    inserts: float
    many: float
    tutorial: float
    disk_ms: float


def run(*, records: int, repetitions: int) -> Report:
    """Measure every way `repetitions` times, one after the other, and report medians.

    Raises BenchError when a part does not run or the books are not complete.
    """
    with tempfile.TemporaryDirectory(prefix="klasskart-bench-") as name:
        folder = Path(name)
        day = school_day.make(folder, records=records, broker_port=anywhere(set()))
        first = folder / "first"
        day.config.data_dir.rename(first)
        runs = [_repeat(day, first, folder) for _ in range(repetitions)]
        settings = {
            "records": day.records,
            "messages": len(day.stream),
            "devices": len(day.journals),
            "repetitions": repetitions,
            "batch of bare inserts": f"{BATCH_MESSAGES * 20} records",
            "database": "SQLite, WAL, synchronous=FULL",
            "broker": "iotcore (rumqttd)",
            "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        }
        tutorial = sum(message.records for message in _tutorial_part(day))
    return Report("ingest", settings, _goals(runs), _rows(day.records, tutorial, runs))


def _tutorial_part(day: SchoolDay) -> list[Message]:
    return day.stream[: max(1, len(day.stream) // _TUTORIAL_SHARE)]


def _repeat(day: SchoolDay, first: Path, folder: Path) -> Run:
    """Every way once, each from a fresh copy of the data folder."""
    data = day.config.data_dir
    with Stage(day, folder / "broker") as stage:
        _copy(first, data)
        product = stage.product()
        wrong = books_check.differences(day)
        if wrong:
            raise BenchError("the books are not what the devices said: " + "; ".join(wrong))
        batches = bare_inserts.read(first / "cloud.db", data / "cloud.db", day.stream, BATCH_MESSAGES)
        drop = stage.rival("drop", day.stream)
        _copy(first, data)
        inserts = bare_inserts.insert(data / "cloud.db", batches)
        _copy(first, data)
        many = bare_inserts.insert(data / "cloud.db", batches, rows_at_once=ROWS_AT_ONCE)
        _copy(first, data)
        tutorial = stage.rival("tutorial", _tutorial_part(day), data / "cloud.db")
        return Run(product, drop, inserts, many, tutorial, bare_inserts.disk_ms(folder))


def _copy(first: Path, data: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(first, data)


def _goals(runs: list[Run]) -> list[Goal]:
    """The tighter floor is the slower one; the share is that of each repetition, then their median."""
    share = median(max(run.drop, run.inserts) / run.product for run in runs)
    return [Goal("share of the tighter floor", share, SHARE_OF_FLOOR, at_least=True)]


def _rows(records: int, tutorial_records: int, runs: list[Run]) -> list[Row]:
    """Records a second of each way, the product first, each beside what it is measured against."""
    rates = {
        PRODUCT: median(records / run.product for run in runs),
        DROP: median(records / run.drop for run in runs),
        INSERTS: median(records / run.inserts for run in runs),
        MANY: median(records / run.many for run in runs),
        TUTORIAL: median(tutorial_records / run.tutorial for run in runs),
    }
    shares = {
        DROP: median(run.drop / run.product for run in runs),
        INSERTS: median(run.inserts / run.product for run in runs),
        MANY: median(run.many / run.product for run in runs),
        TUTORIAL: rates[PRODUCT] / rates[TUTORIAL],
    }
    rows = [Row(PRODUCT, "broker to books", rates[PRODUCT], "records/s", shares[way], way) for way in shares]
    for way, note in _NOTES.items():
        share = 1.0 if way == INSERTS else rates[way] / rates[INSERTS]
        rows.append(Row(way, "the same stream", rates[way], "records/s", share, INSERTS, note))
    best = max(min(run.drop for run in runs), min(run.inserts for run in runs))
    fastest = min(run.product for run in runs)
    note = "the fastest run of each: what a busy machine hides"
    rows.append(
        Row(
            "fastest",
            "broker to books",
            records / fastest,
            "records/s",
            best / fastest,
            "tighter floor",
            note,
        )
    )
    every = sorted(records / run.product for run in runs)
    rows.append(
        Row("spread", "slowest repetition", every[0], "records/s", every[0] / rates[PRODUCT], "median")
    )
    rows.append(
        Row("spread", "fastest repetition", every[-1], "records/s", every[-1] / rates[PRODUCT], "median")
    )
    disk = sorted(run.disk_ms for run in runs)
    rows.append(Row("disk", "4 KB and fsync, fastest", disk[0], "ms"))
    rows.append(Row("disk", "4 KB and fsync, slowest", disk[-1], "ms", disk[-1] / disk[0], "fastest"))
    return rows
