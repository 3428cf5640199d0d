"""The worker as a process: killed in the middle, run twice, stopped by a signal, and quiet without work."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import event, text

from cloud import migrations, worker
from cloud.accounting import service as accounting
from cloud.config import Config, ConfigError
from cloud.csv_file import parse_table
from cloud.db import begin, engine, reading
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.notifications import service as notifications
from cloud.notifications.channel import Message
from cloud.notifications.file_channel import FileChannel
from cloud.notifications.service import Happening
from cloud.people import families, students
from cloud.people import service as people
from tests.cloud.schools import add_school

ROOT = Path(__file__).resolve().parents[2]
FACTS = 400
NAME, PHONE = "Канарейкина", "+79001234567"
STUDENTS = f"student_id;last_name;first_name;middle_name;class;shift;status\nS1;{NAME};Маша;;2Б;1;active\n"
PARENTS = f"student_id;relation;name;phone\nS1;мать;{NAME} Нина;{PHONE}\nS1;отец;{NAME} Олег;+79001234568\n"
# A claim of one second, so that a test need not wait for the usual one to run out, and a channel that
# takes its time, so that a kill falls into the middle on any machine.
PROGRAM = """
import sys
import time
from cloud import migrations, worker
from cloud.accounting import service as accounting
from cloud.config import Config
from cloud.notifications.file_channel import FileChannel
send = FileChannel.send
def send_slowly(channel, message):
    time.sleep(0.002)
    return send(channel, message)
FileChannel.send = send_slowly
worker.run(Config.load(sys.argv[1]), lease_s=1)
"""


@pytest.fixture
def config(store, empty_url, tmp_path):
    made = Config(data_dir=tmp_path / "data", database_url=empty_url, demo=True)
    made.write()
    return made


def found(store):
    """A school with one child and two adults; returns its number."""
    with begin(store) as conn:
        number = people.create_school(conn, "Школа", "Europe/Moscow")
        table = parse_table("students.csv", STUDENTS.encode(), students.STUDENT_COLUMNS)
        students.import_students(conn, number, table, None, os.urandom)
        table = parse_table("parents.csv", PARENTS.encode(), families.COLUMNS)
        families.import_parents(conn, number, table, os.urandom)
    return number


@pytest.fixture
def school_id(store):
    return found(store)


def happen(store, school_id, first, count):
    now = int(time.time())
    with begin(store) as conn:
        (account,) = [pupil.account_id for pupil in people.pupils(conn, school_id)]
        notifications.enqueue(
            conn,
            [
                Happening(school_id, "entry", account, 0xD1, 1, seq, now, now)
                for seq in range(first, first + count)
            ],
        )


def unsettled(store, school_id):
    with reading(store) as conn:
        return notifications.counts(conn, school_id).unsettled


def start(config):
    log = (config.logs_dir / "worker.log").open("ab")
    with log:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(config.data_dir)], cwd=ROOT, stdout=log, stderr=log
        )


def spool(config):
    return list(config.spool_dir.glob("*.txt"))


def wait_for(condition, process=None, seconds=150):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        assert process is None or process.poll() is None, "the worker ended by itself"
        time.sleep(0.002)


@pytest.mark.system
def test_killed_worker_loses_and_doubles_nothing(store, config, school_id):
    happen(store, school_id, 1, FACTS)
    kills = 0
    # Kill it again and again in the middle of its work; the last one may finish.
    for wanted in range(90, 2 * FACTS, 150):
        process = start(config)
        wait_for(lambda wanted=wanted: len(spool(config)) >= wanted, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += len(spool(config)) < 2 * FACTS
    assert kills >= 3, "the worker was too fast to be killed in the middle"
    assert unsettled(store, school_id) > 0
    process = start(config)
    wait_for(lambda: unsettled(store, school_id) == 0, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    told: Counter[str] = Counter()
    for path in spool(config):
        lines = path.read_text(encoding="utf-8").splitlines()
        told[lines[1]] += 1
        assert lines[-1].startswith("Маша: вход в школу ")
    assert told == {f"to: {PHONE}": FACTS, "to: +79001234568": FACTS}
    with reading(store) as conn:
        assert notifications.counts(conn, school_id) == (0, 2 * FACTS, 0, 0)
        providers = [row[0] for row in conn.execute(text("SELECT provider_id FROM message"))]
    assert sorted(providers) == sorted(path.name for path in spool(config))
    log = (config.logs_dir / "worker.log").read_text()
    assert "facts taken" in log
    for secret in (NAME, "Маша", PHONE[-9:], "вход"):
        assert secret not in log


def test_channel_that_invents_names_would_be_seen(tmp_path):
    """The test above can fail: without one name for one id, a repeated send is a second file."""
    channel = FileChannel(tmp_path)
    message = Message("0a", "entry", PHONE, "ru", "Маша: вход", 1_800_000_000, 0, "UTC")
    for number in range(2):
        channel.send(message)
        channel.send(message._replace(id=f"0a-{number}"))
    assert len(list(tmp_path.glob("*.txt"))) == 3


def test_worker_works_off_and_stops(store, config, school_id):
    happen(store, school_id, 1, 3)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(config, stop))
    thread.start()
    try:
        wait_for(lambda: unsettled(store, school_id) == 0)
        happen(store, school_id, 4, 1)
        wait_for(lambda: unsettled(store, school_id) == 0)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert len(spool(config)) == 8


def test_run_once_does_all_that_waits(store, config, school_id):
    happen(store, school_id, 1, 250)
    vault, channel = Vault(config.keys_dir), worker.open_channel(config)
    assert worker.run_once(store, vault, channel) == 250
    assert worker.run_once(store, vault, channel) == 0
    assert len(spool(config)) == 500


def test_idle_worker_takes_no_write_lock(store_sqlite, tmp_path):
    statements = []
    event.listen(
        store_sqlite, "before_cursor_execute", lambda *args: statements.append(args[2].split("\n")[0])
    )
    event.listen(
        store_sqlite, "begin", lambda conn: statements.append(conn.get_execution_options().get("writing"))
    )
    channel = worker.open_channel(Config(data_dir=tmp_path, demo=True))
    assert worker.run_once(store_sqlite, Vault(tmp_path / "keys"), channel) == 0
    assert [statement for statement in statements if statement not in (None, "BEGIN")] == [
        "SELECT outbox.id "
    ]


def test_spool_is_for_demos_only(tmp_path):
    with pytest.raises(ConfigError, match="demo"):
        worker.open_channel(Config(data_dir=tmp_path))


def test_database_that_is_gone_is_waited_for(tmp_path, monkeypatch, store_sqlite):
    """A restart of the database ends no worker."""
    school_id = found(store_sqlite)
    config = Config(data_dir=tmp_path / "data", database_url=str(store_sqlite.url), demo=True)
    config.write()
    real, failures = notifications.deliver, iter(range(2))

    def shaky(store, *args, **options):
        if next(failures, None) is not None:
            with store.connect() as conn:
                conn.exec_driver_sql("SELECT * FROM a_table_that_is_not_there")
        return real(store, *args, **options)

    monkeypatch.setattr(notifications, "deliver", shaky)
    monkeypatch.setattr(worker, "_DOWN_S", 0.01)
    happen(store_sqlite, school_id, 1, 1)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(config, stop))
    thread.start()
    try:
        wait_for(lambda: unsettled(store_sqlite, school_id) == 0)
    finally:
        stop.set()
        thread.join(10)
    assert len(spool(config)) == 2


def test_new_entries_are_checked(tmp_path: Path) -> None:
    store = engine(f"sqlite:///{tmp_path / 'cloud.db'}")
    migrations.upgrade(store)
    school, entry = (
        add_school(store),
        accounting.Entry("k", "topup", 1, (("world:bank", -5), ("purse:00000001", 5))),
    )
    with begin(store) as conn:
        accounting.post(conn, school, [entry], 9)
    assert worker.check_books(store, 10) == []
    with begin(store) as conn:
        accounting.post(conn, school, [entry._replace(external_key="l")], 9)
        conn.execute(text("DROP TRIGGER entry_no_update"))
        conn.execute(text("UPDATE entry SET reason = 'edited' WHERE entry_id = 2"))
    for now in (11, 12):
        (line,) = worker.check_books(store, now)
        assert "entry 2: chain" in line
    store.dispose()


def test_calendar_is_published_anew_when_half_is_over(tmp_path: Path) -> None:
    store = engine(f"sqlite:///{tmp_path / 'cloud.db'}")
    migrations.upgrade(store)
    school, now = add_school(store), 20_000 * 86_400
    with begin(store) as conn:
        devices.publish_settings(conn, school, now)
        first = devices.calendar(conn, school)
    assert first == (20_000 - 35, 20_000 + 400)
    assert worker.extend_calendars(store, now + 200 * 86_400) == 0
    assert worker.extend_calendars(store, now + 201 * 86_400) == 1
    assert worker.extend_calendars(store, now + 201 * 86_400) == 0
    with begin(store) as conn:
        # What was once inside stays so.
        assert devices.calendar(conn, school) == (first[0], 20_000 + 601)
    store.dispose()
