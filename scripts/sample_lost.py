"""The sample school on the day a card is lost: reported at 11:45, closed where devices say so, used again.

Promises: what devices say is in their journals, so pages, books and reconciliation agree.  Leaves the school
to sample_school.py.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from cloud import db
from cloud.archive import Archive
from cloud.keys import Vault
from cloud.losses import service as losses
from protocols.ledger import record
from scripts import sample_school as sample
from scripts.sample_school import SampleSchool

LATER = sample.NOW + 18 * 60
"""12:03: the pictures are of then."""


def lose(engine: Engine, vault: Vault, archive: Archive) -> None:
    """Masha's card is reported; line 1 is cut off, and somebody eats a lunch there."""
    with db.begin(engine) as conn:
        one = losses.report(
            conn, vault, archive, sample.SCHOOL, sample.MASHA, sample.card_ref(sample.MASHA),
            reporter="parent", who="adult 1", lost_at=sample.NOW, now=sample.NOW,
        )  # fmt: skip
        for device_id in (sample.GATE_1, sample.GATE_2, sample.LINE_2):
            say_online(conn, device_id, online=True, seen_at=LATER)
            apply_table(conn, device_id, one.table_version, sample.NOW + 25)
        say_online(conn, sample.LINE_1, online=False, seen_at=sample.at(11, 10))
        buy(conn, sample.NOW + 600)


def say_online(conn: Connection, device_id: int, *, online: bool, seen_at: int) -> None:
    """What the broker last said of a device."""
    row = db.device.update().where(db.device.c.device_id == device_id)
    conn.execute(row.values(online=int(online), last_seen_at=seen_at))


def apply_table(conn: Connection, device_id: int, version: int, when: int) -> None:
    """The device says in its journal that it works by this table."""
    school = resumed(conn, device_id)
    school.record(device_id, record.TABLE, record.TABLE_ACCOUNTS, when, aux=version)
    school.settle({})
    row = db.device.update().where(db.device.c.device_id == device_id)
    conn.execute(row.values(table_version=version))


def buy(conn: Connection, when: int, amount_minor: int = 9600) -> int:
    """Line 1 sells to Masha's card and hands it over later; the seq of the sale."""
    school = resumed(conn, sample.LINE_1)
    seq, _entry = school.sale(sample.LINE_1, sample.MASHA, when, sample.LUNCH, amount_minor)
    school.settle({})
    return seq


def resumed(conn: Connection, device_id: int) -> SampleSchool:
    """The sample school, to go on with one journal."""
    school = SampleSchool(conn)
    row = conn.execute(db.device_epoch.select().where(db.device_epoch.c.device_id == device_id)).one()
    school.journal_goes_on(device_id, bytes(row.head_mac), row.next_seq)
    return school
