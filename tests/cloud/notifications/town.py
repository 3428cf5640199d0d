"""A small school, its worker and a channel that can fail: the stage of the delivery tests."""

import os

from sqlalchemy import text

from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.keys import Vault
from cloud.notifications import delivery
from cloud.notifications import service as notifications
from cloud.notifications.channel import SENT, ChannelDown, Delivery
from cloud.notifications.service import Happening
from cloud.people import families, students
from cloud.people import service as people

NOW = 1_800_000_000
STUDENTS = (
    "student_id;last_name;first_name;middle_name;class;shift;status\n"
    "S1;Иванова;Маша;;2Б;1;active\nS2;Ким;Ваня;;5А;1;active\nS3;Ли;Ян;;5А;1;active\n"
)
PARENTS = (
    "student_id;relation;name;phone\n"
    "S1;мать;Иванова Нина;89000000001\nS1;отец;Иванов Олег;89000000002\nS2;мать;Ким Ева;89000000003\n"
)


class Box:
    """A channel that keeps what it is given; `down` and `dies_after` make it fail."""

    name = "file"

    def __init__(self):
        self.sent = []
        self.down = False
        self.answer = SENT
        self.dies_after = None

    def send(self, message):
        if self.down:
            raise ChannelDown("down")
        if self.dies_after is not None and len(self.sent) >= self.dies_after:
            raise KeyboardInterrupt
        self.sent.append(message)
        return Delivery(f"p-{message.id}", self.answer, 1, 0)

    @property
    def texts(self):
        return [(message.to, message.text) for message in self.sent]

    @property
    def ids(self):
        return [message.id for message in self.sent]


class Town:
    """A school with three pupils, two of whom have adults, and a worker with a clock of its own."""

    def __init__(self, store, keys):
        self.store, self.vault, self.box, self.now = store, Vault(keys), Box(), NOW
        with begin(store) as conn:
            self.school_id = people.create_school(conn, "Школа", "Europe/Moscow")
            pupils = parse_table("students.csv", STUDENTS.encode(), students.STUDENT_COLUMNS)
            students.import_students(conn, self.school_id, pupils, None, os.urandom)
            adults = parse_table("parents.csv", PARENTS.encode(), families.COLUMNS)
            families.import_parents(conn, self.school_id, adults, os.urandom)
            self.accounts = {
                pupil.first_name: pupil.account_id for pupil in people.pupils(conn, self.school_id)
            }
        self.seq = 0

    def happen(self, name, event="entry", *, at=None, **more):
        self.seq += 1
        at = self.now if at is None else at
        fact = Happening(self.school_id, event, self.accounts[name], 0xD1, 1, self.seq, at, at + 2, **more)
        with begin(self.store) as conn:
            notifications.enqueue(conn, [fact])
        return self.seq

    def work(self, **options):
        return delivery.deliver(self.store, self.vault, self.box, lambda: self.now, **options)

    def counts(self):
        with reading(self.store) as conn:
            return notifications.counts(conn, self.school_id)

    def outcomes(self):
        with reading(self.store) as conn:
            return [
                told.outcome
                for seq in range(1, self.seq + 1)
                for told in notifications.of_record(conn, self.vault, self.school_id, 0xD1, 1, seq)
            ]

    def column(self, statement):
        with reading(self.store) as conn:
            return [row[0] for row in conn.execute(text(statement))]
