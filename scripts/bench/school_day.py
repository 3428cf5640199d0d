"""A school and what its devices send on one day, for `bench ingest`: made through the cloud's own services.

Promises: what the devices say is authentic, in valid chains, within rights that the cloud has placed, and
mixed as on a school day: everybody comes in, has breakfast and lunch, and leaves; one card in fifty is
unknown, one rotor in forty does not turn.  The same number of records makes the same day, but for the numbers
and keys that the cloud draws at random.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from cloud import db, migrations
from cloud.config import Config
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.meals import service as meals
from cloud.people import service as people
from cloud.people.importer import import_school
from protocols.errors import CARD_UNKNOWN
from protocols.ledger import record
from scripts.bench.device_journal import DeviceJournal, Message

KINDS = {
    f"{place}-{number}": kind
    for place, kind in (("gate", "gate"), ("line", "canteen"))
    for number in range(1, 5)
}
# In 2, grant, breakfast, lunch, out 2, and now and then a note.
RECORDS_A_PUPIL = 7
MIDNIGHT = 1_788_210_000  # 2026-09-01 in Moscow
DAY = (MIDNIGHT + 3 * 3600) // 86_400
NOW = MIDNIGHT + 16 * 3600
_SEED = 20260901
_HOUR = 3600
_UNKNOWN_IN, _NOT_TURNED_IN = 50, 40
_MENU = "meal;from;to;price_rub\nbreakfast;08:00;10:59;85.00\nlunch;11:00;15:30;140.00\n"
_TOPUP_RUB = "230.00"


class SchoolDay(NamedTuple):
    """The cloud's settings, a journal for each device, and all messages by the time of their last record."""

    config: Config
    school_id: int
    journals: list[DeviceJournal]
    stream: list[Message]

    @property
    def records(self) -> int:
        """How many records the stream holds."""
        return sum(message.records for message in self.stream)


def make(folder: Path, *, records: int, broker_port: int) -> SchoolDay:
    """A data folder of the cloud, with a school so large that its day has about `records` records."""
    files = folder / "files"
    files.mkdir(parents=True)
    _write_files(files, max(20, records // RECORDS_A_PUPIL))
    config = Config(data_dir=folder / "cloud", broker_port=broker_port)
    config.write()
    engine, vault = db.engine(config.database_url), Vault(config.keys_dir)
    migrations.upgrade(engine)
    with db.begin(engine) as conn:
        school_id = people.create_school(conn, "Школа", "Europe/Moscow")
        report = import_school(conn, vault, files, school_id, True, NOW)
        if report.problems:
            raise ValueError(f"the bench's own files are wrong: {report.problems[0]}")
        provisions = {
            label: devices.register(conn, vault, school_id, label, kind, NOW) for label, kind in KINDS.items()
        }
        devices.publish_settings(conn, school_id, NOW)
        devices.publish_tables(conn, vault, school_id, NOW)
        journals = {label: DeviceJournal(provision, day=DAY) for label, provision in provisions.items()}
        _Day(conn, school_id, journals).play()
    engine.dispose()
    timed = [
        (time, number, message)
        for number, journal in enumerate(journals.values())
        for time, message in journal.batches()
    ]
    timed.sort(key=lambda each: each[:2])
    return SchoolDay(config, school_id, list(journals.values()), [each[2] for each in timed])


class _Day:
    """Writes the day into the journals, event by event."""

    def __init__(self, conn: Connection, school_id: int, journals: dict[str, DeviceJournal]) -> None:
        self._source = random.Random(_SEED)
        self._gates = [journals[label] for label, kind in KINDS.items() if kind == "gate"]
        self._lines = {journal.device: journal for journal in journals.values()}
        self._breakfast, self._lunch = meals.menu(conn, school_id)
        statement = "SELECT account_id, device_id, granted FROM spending_right WHERE school_id = ? ORDER BY 1"
        self._placed = conn.exec_driver_sql(statement, (school_id,)).all()
        for journal in journals.values():
            journal.write(record.BOOT, 0, MIDNIGHT + 6 * _HOUR, account=1, aux=2)
            journal.write(record.TABLE, record.TABLE_ACCOUNTS, MIDNIGHT + 6 * _HOUR, aux=1)

    def play(self) -> None:
        """Everybody's day, in the order of time."""
        events = []
        for number, (account, device, granted) in enumerate(self._placed):
            for hour, happens in (
                (7, self._enter),
                (9, self._eat_first),
                (12, self._eat_again),
                (14, self._leave),
            ):
                time = MIDNIGHT + hour * _HOUR + self._source.randrange(_HOUR)
                events.append((time, number, happens, account, self._lines[device], granted))
        events.sort(key=lambda event: event[:2])
        for time, _number, happens, account, line, granted in events:
            happens(time, account, line, granted)

    def _enter(self, time: int, account: int, _line: DeviceJournal, _granted: int) -> None:
        self._pass(time, account, 0)

    def _leave(self, time: int, account: int, _line: DeviceJournal, _granted: int) -> None:
        self._pass(time, account, record.PASS_OUT)

    def _pass(self, time: int, account: int, direction: int) -> None:
        gate = self._source.choice(self._gates)
        if self._source.randrange(_UNKNOWN_IN) == 0:
            bits = self._source.getrandbits(32)
            gate.write(record.NOTE, record.NOTE_REFUSED_TAP, time, amount=CARD_UNKNOWN, aux=bits)
        opened = gate.write(record.PASS, direction | record.PASS_OPENED, time, account=account, aux=account)
        turned = self._source.randrange(_NOT_TURNED_IN)
        stage = record.PASS_TURNED if turned else record.PASS_NOT_TURNED
        gate.write(record.PASS, direction | stage, time + 2, account=account, aux=opened)

    def _eat_first(self, time: int, account: int, line: DeviceJournal, granted: int) -> None:
        line.write(record.GRANT, 0, time, account=account, amount=granted, aux=record.MONEY)
        self._eat(time, account, line, self._breakfast)

    def _eat_again(self, time: int, account: int, line: DeviceJournal, _granted: int) -> None:
        self._eat(time, account, line, self._lunch)

    def _eat(self, time: int, account: int, line: DeviceJournal, good: meals.Good) -> None:
        aux = record.good_aux(good.good_id, account.to_bytes(4, "little"))
        line.write(record.SALE, record.SALE_SINGLE, time, account=account, amount=good.price_minor, aux=aux)


def _write_files(folder: Path, pupils: int) -> None:
    """A roster, cards and money; parents of every second pupil, for the messages to go to."""
    source = random.Random(_SEED)
    students = ["student_id;last_name;first_name;middle_name;class;shift;status"]
    cards, topups = ["student_id;credential"], ["student_id;amount_rub;bank_ref"]
    parents = ["student_id;relation;name;phone"]
    for number in range(pupils):
        name, class_name = f"S{number:05}", f"{number % 11 + 1}{'АБВГ'[number // 11 % 4]}"
        students.append(f"{name};Фамилия;Имя;;{class_name};1;active")
        cards.append(f"{name};a:04{source.getrandbits(24):06X}{number:06X}")
        topups.append(f"{name};{_TOPUP_RUB};T-{number}")
        if number % 2:
            parents.append(f"{name};мама;Фамилия Имя;+7912{number:07}")
    for name, lines in {"students": students, "cards": cards, "topups": topups, "parents": parents}.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "menu.csv").write_text(_MENU, encoding="utf-8")
