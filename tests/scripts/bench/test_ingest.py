"""A short `bench ingest`: shape and correctness of what is measured, never how fast it was."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from protocols.ledger import record
from protocols.mac import Hmac
from scripts.bench import bare_inserts, books_check, school_day
from scripts.bench.command import bench
from scripts.bench.ingest import BATCH_MESSAGES, DROP, INSERTS, MANY, PRODUCT, TUTORIAL
from scripts.bench.report import BenchError
from scripts.bench.school_day import SchoolDay
from scripts.bench.stage import Stage
from scripts.play.ports import anywhere

RECORDS = 420


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> SchoolDay:
    """A small day, taken in by the real ingest from the real broker; `before` is the folder as it was."""
    folder = tmp_path_factory.mktemp("bench")
    made = school_day.make(folder, records=RECORDS, broker_port=anywhere(set()))
    shutil.copytree(made.config.data_dir, folder / "before")
    with Stage(made, folder / "broker") as stage:
        stage.product()
        assert stage.rival("drop", made.stream) > 0
        shutil.copytree(folder / "before", folder / "tutorial")
        assert stage.rival("tutorial", made.stream[:3], folder / "tutorial" / "cloud.db") > 0
    return made


def before(day: SchoolDay) -> Path:
    return day.config.data_dir.parent / "before"


def counts(database: Path) -> dict[str, int]:
    with sqlite3.connect(database) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return found


def test_stream_has_all_records_in_chains(day: SchoolDay) -> None:
    assert day.records == sum(len(journal.items) for journal in day.journals)
    assert 0.8 * RECORDS < day.records < 1.2 * RECORDS
    for journal in day.journals:
        mac = record.genesis(journal.keys.chain, journal.device, journal.epoch)
        raw = b"".join(message.payload[99:-16] for message in day.stream if message.device == journal.device)
        for seq in range(1, len(journal.items) + 1):
            mac = record.follow(Hmac(journal.keys.chain), mac, raw, (seq - 1) * record.SIZE)
            assert mac
            assert record.unpack(raw, (seq - 1) * record.SIZE).seq == seq


def test_day_mixes_sales_and_passages(day: SchoolDay) -> None:
    kinds = [item.type for journal in day.journals for item in journal.items]
    assert kinds.count(record.PASS) == 2 * kinds.count(record.SALE)
    assert kinds.count(record.SALE) == 2 * kinds.count(record.GRANT)
    assert {message.records for message in day.stream} <= set(range(1, 21))


def test_books_are_complete_after_the_product(day: SchoolDay) -> None:
    assert books_check.differences(day) == []


def test_missing_record_is_a_difference(day: SchoolDay) -> None:
    day.journals[0].write(record.NOTE, 0, school_day.NOW)
    try:
        assert books_check.differences(day) == [
            f"records: {day.records} instead of {day.records + 1}",
            f"archived: {day.records} instead of {day.records + 1}",
        ]
    finally:
        day.journals[0].items.pop()


@pytest.mark.parametrize("rows_at_once", [1, 50])
def test_bare_inserts_leave_the_same_rows(day: SchoolDay, tmp_path: Path, rows_at_once: int) -> None:
    product = day.config.data_dir / "cloud.db"
    batches = bare_inserts.read(before(day) / "cloud.db", product, day.stream, BATCH_MESSAGES)
    shutil.copytree(before(day), tmp_path / "bare")
    assert bare_inserts.insert(tmp_path / "bare" / "cloud.db", batches, rows_at_once=rows_at_once) > 0
    assert counts(tmp_path / "bare" / "cloud.db") == counts(product)
    assert {"record", "entry", "posting", "passage", "outbox", "balance", "spending_right"} <= batches[
        0
    ].keys()


def test_tutorial_way_writes_records_alone(day: SchoolDay) -> None:
    found = counts(before(day).parent / "tutorial" / "cloud.db")
    assert found["record"] == sum(message.records for message in day.stream[:3])
    assert found["passage"] == found["outbox"] == 0


def test_broker_that_is_gone_is_named(
    day: SchoolDay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scripts.bench.stage._START_S", 0.2)
    monkeypatch.setattr("scripts.bench.stage.broker.embedded", lambda *_: ["true"])
    with pytest.raises(BenchError, match="broker"), Stage(day, tmp_path):
        pass


def test_printed_report_has_every_way() -> None:
    words = ["ingest", "--json", "--records", "400", "--repetitions", "1"]
    result = CliRunner().invoke(bench, words, catch_exceptions=False)
    read = json.loads(result.stdout)
    assert read["bench"] == "ingest"
    assert result.exit_code == (0 if read["met"] else 1)
    assert {PRODUCT, DROP, INSERTS, TUTORIAL} <= {row["group"] for row in read["rows"]}
    beside = {row["to"] for row in read["rows"] if row["group"] == PRODUCT}
    assert beside == {DROP, INSERTS, MANY, TUTORIAL}
    assert [goal["limit"] for goal in read["goals"]] == [0.5]
