"""Where a newcomer looks: the pages, a parent to sign in as, the office's one-time link, panel and spool.

It promises links that work now: the office's is made at each start and lives ten minutes. Reading the
sample parent's name is written to the log of reads like any other.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from cloud import db
from cloud.accounting import service as accounting
from cloud.codes import service as codes
from cloud.config import Config
from cloud.keys import Vault
from cloud.people import service as people
from scripts.play.folder import World
from scripts.play.ports import LOOPBACK


@dataclass(frozen=True)
class Addresses:
    """What the terminal shows. `phone` is empty when the school has no parent yet."""

    parents: str
    phone: str
    child: str
    spool: Path
    office: str
    office_page: str
    panel: str
    data: Path


def find(
    config: Config,
    world: World,
    panel_port: int,
    panel_token: str,
    now: Callable[[], int] = lambda: int(time.time()),
) -> Addresses:
    """Ask the cloud's own data for a parent and for a new link to the office."""
    engine = db.engine(config.database_url)
    vault = Vault(config.keys_dir)
    with db.begin(engine) as conn:
        link = codes.new_link(conn, vault, world.school_id, now())
        phone, child = _sample(conn, world, now())
    engine.dispose()
    web = f"http://{LOOPBACK}:{config.web_port}"
    return Addresses(
        parents=f"{web}/",
        phone=phone,
        child=child,
        spool=config.spool_dir,
        office=f"{web}/office/enter?link={link}",
        office_page=f"{web}/office",
        panel=f"http://{LOOPBACK}:{panel_port}/?token={panel_token}",
        data=config.data_dir,
    )


def _sample(conn: Connection, world: World, now: int) -> tuple[str, str]:
    """A parent's phone and the child's name: a child with a card and a full purse, to try lunch with."""
    staff = people.Staff("demo", "a parent to try the page with", now)
    purses = accounting.balances_of_kind(conn, world.school_id, accounting.PURSES)
    holders = [
        pupil
        for pupil in people.pupils(conn, world.school_id, staff)
        if pupil.status == "active" and f"{pupil.account_id:08x}" in world.cards
    ]
    holders.sort(key=lambda one: (-purses.get(accounting.purse(one.account_id), 0), one.account_id))
    adults = people.adults_of_accounts(conn, world.school_id, [one.account_id for one in holders])
    for pupil in holders:
        for adult in adults[pupil.account_id]:
            return adult.phone, f"{pupil.last_name} {pupil.first_name}, {pupil.class_name}"
    return "", ""
