"""Makes a school in a data folder: database, people, cards, menu, money, and four registered boards.

It promises that with `strict` a problem in any row means that nothing is left behind, and else that good
rows are in and each bad one is in the list. Everything goes through the cloud's own services, as a school's
office would do it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cloud import db, migrations
from cloud.cards.importer import COLUMNS as CARD_COLUMNS
from cloud.config import Config
from cloud.csv_file import Problem, read_table
from cloud.devices import service as devices
from cloud.formats import sentence
from cloud.keys import Vault
from cloud.meals import service as meals
from cloud.people import service as people
from cloud.people.importer import CARDS, import_school
from protocols.card.credential import canonical
from protocols.errors import Fault
from protocols.ids import hex8
from protocols.ledger.parent import CANTEEN, GATE
from reader_host.virtual.board import VirtualBoard
from scripts.play.folder import DataFolder, Device, World

BOARDS = {"gate-1": GATE, "gate-2": GATE, "line-1": CANTEEN, "line-2": CANTEEN}
# The rule of the play: a line that lacks rights asks, and waits for the answer as long as it may take here: a
# broker that is killed meanwhile comes back, and so does every board, at its own pace.
PLAY_SETTINGS: dict[str, int | bool] = {"verdict_ms": 30_000, "fixed_moment": False, "offline_at_once": False}


@dataclass(frozen=True)
class Made:
    """The school that was made, or None when strict let nothing through; and the rows that were left out."""

    world: World | None
    problems: list[Problem]


def renew_store(config: Config) -> None:
    """Bring the database of an older demo to this version's schema; nothing happens to one that has it."""
    engine = db.engine(config.database_url)
    try:
        migrations.upgrade(engine)
    finally:
        engine.dispose()


def make_school(
    folder: DataFolder,
    config: Config,
    files: Path,
    *,
    time_zone: str,
    now: int,
    strict: bool,
    settings: dict[str, int | bool] | None = None,
) -> Made:
    """Fill an empty data folder from a school's files; `settings` differ from the devices' defaults."""
    engine = db.engine(config.database_url)
    vault = Vault(config.keys_dir)
    try:
        migrations.upgrade(engine)
        with db.begin(engine) as conn:
            undo = conn.begin_nested()
            # An event of the panel or of a played day may be hours or months away: it is told at any age.
            school_id = people.create_school(
                conn, _name(files), time_zone, settings={"message_stale_s": None}
            )
            report = import_school(conn, vault, files, school_id, strict, now)
            if not report.is_applied:
                undo.rollback()
                return Made(None, report.problems)
            provisions = _register(conn, vault, school_id, config, now)
            if settings:
                devices.set_settings(conn, school_id, now, kinds=tuple(set(BOARDS.values())), **settings)
            else:
                devices.publish_settings(conn, school_id, now)
            devices.publish_tables(conn, vault, school_id, now)
            world = _world(conn, school_id, files, provisions)
    finally:
        engine.dispose()
    for label, provision in provisions.items():
        VirtualBoard.create(folder.board(label), provision)
    folder.write_world(world)
    return Made(world, report.problems)


def _name(files: Path) -> str:
    """What the school is called: by its number when the folder has one."""
    number = re.search(r"\d+$", files.absolute().name)
    return f"Школа № {number[0]}" if number else "Школа"


def _register(
    conn: Connection, vault: Vault, school_id: int, config: Config, now: int
) -> dict[str, dict[str, Any]]:
    """The four boards and their provisioning records."""
    return {
        label: devices.register(
            conn,
            vault,
            school_id,
            label,
            kind,
            now,
            broker_host=config.broker_host,
            broker_port=config.broker_port,
            world_clock=True,
        )
        for label, kind in BOARDS.items()
    }


def _world(conn: Connection, school_id: int, files: Path, provisions: dict[str, dict[str, Any]]) -> World:
    """Which board is where and which card in whose pocket."""
    school = people.school(conn, school_id)
    accounts = {account.external_id: account.account_id for account in people.accounts(conn, school_id)}
    cards: dict[str, str] = {}
    taken: set[str] = set()
    for row in read_table(files / CARDS, CARD_COLUMNS).rows:
        account = accounts.get(row.fields["student_id"])
        try:
            credential = canonical(row.fields["credential"])
        except Fault:
            continue  # the importer has named the row
        if account is not None and credential not in taken:
            taken.add(credential)
            cards.setdefault(hex8(account), credential)
    places = [
        Device(label, BOARDS[label], hex8(provision["device"]), provision["epoch"])
        for label, provision in provisions.items()
    ]
    return World(
        school_id, school.time_zone, school.currency, places, cards, _menu(conn, school_id),
        _goods(conn, school_id),
    )  # fmt: skip


def _menu(conn: Connection, school_id: int) -> str:
    """When something is sold, for a person: `08:00–10:59, 11:00–15:30`."""
    return ", ".join(
        f"{_clock(good.from_minute)}–{_clock(good.to_minute)}" for good in meals.menu(conn, school_id)
    )


def _goods(conn: Connection, school_id: int) -> list[tuple[int, str, str]]:
    """What a cashier may ring up: number, Russian and English name; one of each name at a price."""
    ru, en = (meals.naming(conn, school_id, language) for language in ("ru", "en"))
    kinds = {(good.name, good.price_minor): good.good_id for good in reversed(meals.menu(conn, school_id))}
    numbers = sorted(kinds.values())
    return [(number, sentence(ru([(number, 1)])), sentence(en([(number, 1)]))) for number in numbers]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
