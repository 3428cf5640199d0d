"""Canaries: no name, phone or raw card id outside of the tables of people and the messages themselves.

A whole small school is imported, gets devices and tables, has passages and purchases that are told; then
everything that lies in the database and the data folder is searched for every name, phone and card of it.
"""

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from cloud import db
from cloud.attendance import service as attendance
from cloud.cards import service as cards
from cloud.config import Config
from cloud.csv_file import read_table
from cloud.db import begin, reading
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.notifications import service as notifications
from cloud.notifications.service import Happening
from cloud.people import families, students
from cloud.people import service as people
from cloud.people.importer import import_school
from cloud.people.phones import normal_phone

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "school-1"
CODE = "918273"
# Where names and phones belong.
PEOPLE = {"person": ("last_name", "first_name", "middle_name"), "adult": ("phone",)}
WORKER = """
import sys
from cloud import db, worker
from cloud.config import Config
from cloud.keys import Vault
config = Config.load(sys.argv[1])
taken = worker.run_once(db.engine(config.database_url), Vault(config.keys_dir), worker.open_channel(config))
worker.log.info("facts taken", count=taken)
"""


def names_and_phones():
    """Names, and phones without their country, as bytes."""
    found = set()
    for row in read_table(EXAMPLE / "students.csv", students.STUDENT_COLUMNS).rows:
        found |= {row.fields[name] for name in ("last_name", "first_name", "middle_name")}
    for row in read_table(EXAMPLE / "parents.csv", families.COLUMNS).rows:
        found |= {*row.fields["name"].split(), normal_phone(row.fields["phone"])[2:]}
    return {word.encode() for word in found - {""}}


def secrets_of_a_moment():
    """What is written nowhere at all: card ids as text and as bytes, and the code that was sent.

    A card of four bytes is looked for as text only: its bytes turn up in any hash sooner or later.
    """
    told = {CODE.encode()}
    for row in read_table(EXAMPLE / "cards.csv", cards.COLUMNS).rows:
        digits = row.fields["credential"].removeprefix("a:")
        told |= {digits.encode(), digits.lower().encode()}
        if len(digits) == 14:
            told.add(bytes.fromhex(digits))
    return told


def leaks(store, config):
    """(place, canary) of everything that stands where it must not."""
    wanted = names_and_phones() | secrets_of_a_moment()
    places = []
    with reading(store) as conn:
        for table in db.metadata.sorted_tables:
            columns = [column for column in table.c if column.name not in PEOPLE.get(table.name, ())]
            for row in conn.execute(table.select().with_only_columns(*columns)):
                for column, value in zip(columns, row, strict=True):
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    places.append((f"{table.name}.{column.name}", raw))
    for path in sorted(config.data_dir.rglob("*")):
        inside = path.relative_to(config.data_dir).parts
        if path.is_file() and inside[0] != "spool":
            places.append((str(path.relative_to(config.data_dir)), path.read_bytes()))
    found = [(place, canary) for place, raw in places for canary in wanted if canary in raw]
    return found + [
        ("database file", canary) for canary in secrets_of_a_moment() if canary in files_of(store)
    ]


def files_of(store):
    """The bytes of SQLite's files with their freed pages; PostgreSQL's are the server's."""
    if store.dialect.name != "sqlite":
        return b""
    database = Path(store.url.database)
    return b"".join(path.read_bytes() for path in database.parent.glob(database.name + "*"))


@pytest.fixture
def config(store, empty_url, tmp_path, caplog):
    """A data folder after a morning at the example school; what was logged lies in logs/."""
    config = Config(data_dir=tmp_path / "data", database_url=empty_url, demo=True)
    config.write()
    vault, now = Vault(config.keys_dir), int(time.time())
    folder = tmp_path / "files"
    shutil.copytree(EXAMPLE, folder)
    with (folder / "students.csv").open("a", encoding="utf-8") as file:
        file.write("D001;Абрикосова;Маша;;2Б;1;active\nМаша;Абрикосова;Маша;;Маша;1;active\n")
    with caplog.at_level(logging.DEBUG), begin(store) as conn:
        school_id = people.create_school(conn, "Школа 1", "Europe/Moscow")
        report = import_school(conn, vault, folder, school_id, False, now)
        gate = devices.register(conn, vault, school_id, "gate-1", "gate", now)["device"]
        devices.register(conn, vault, school_id, "line-1", "canteen", now)
        devices.publish_tables(conn, vault, school_id, now)
        accounts = [account.account_id for account in people.accounts(conn, school_id)]
        passages = [
            attendance.Passage(gate, 1, seq, account, now // 86400, now, now, "in", True)
            for seq, account in enumerate(accounts)
        ]
        attendance.record_passages(conn, school_id, passages)
        for place, event in enumerate(notifications.EVENTS):
            facts = [
                Happening(school_id, event, account, gate, 1, seq + 100 * place, now, now, ((1, 1),), 8500)
                for seq, account in enumerate(accounts)
            ]
            notifications.enqueue(conn, facts)
        people.pupils(conn, school_id, people.Staff("office:1", "a test", now))
        adult = people.adult_by_phone(conn, school_id, "+75550100001")
        assert adult is not None
        notifications.enqueue_code(conn, vault, adult.adult_id, CODE, now)
    assert len(report.problems) == 2
    (config.logs_dir / "import.log").write_text(f"{report.as_json()}\n{report}\n{caplog.text}")
    with (config.logs_dir / "worker.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-c", WORKER, str(config.data_dir)],
            cwd=ROOT, stdout=log, stderr=log, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert b"facts taken" in (config.logs_dir / "worker.log").read_bytes()
    assert len(list(config.spool_dir.glob("*.txt"))) == 3 * 29 + 1
    with reading(store) as conn:
        assert conn.execute(text("SELECT count(*) FROM device_table")).scalar_one() == 2
    return config


def test_no_canary_outside_of_people(store, config):
    assert leaks(store, config) == []


def test_spool_and_people_do_hold_canaries(store, config):
    """The morning was real: what is searched for does exist."""
    spool = b"".join(path.read_bytes() for path in config.spool_dir.glob("*.txt"))
    assert "Маша: ".encode() in spool
    assert b"+75550100001" in spool
    assert f"\n\n{CODE}".encode() in spool
    with reading(store) as conn:
        assert "Абрикосова" in str(conn.execute(db.person.select()).all())
    assert store.dialect.name != "sqlite" or "Абрикосова".encode() in files_of(store)


def test_planted_leaks_are_found(store, config):
    """The search can fail."""
    statements = {
        "device_table.image": "UPDATE device_table SET image = :raw",
        "outbox.detail": 'UPDATE outbox SET detail = \'{"name": "Маша"}\'',
        "message.body": "UPDATE message SET body = :raw",
        "personal_read.what": "UPDATE personal_read SET what = 'Маша'",
    }
    with begin(store) as conn:
        for statement in statements.values():
            conn.execute(text(statement), {"raw": b"\0" + "Маша".encode()} if ":raw" in statement else {})
    files = ("logs/worker.log", "keys/kek", "archive/planted")
    for name in files:
        with (config.data_dir / name).open("ab") as file:
            file.write("Маша".encode())
    assert {place for place, _ in leaks(store, config)} == {*statements, *files}
