"""A backup that is taken while everything runs, and the way back, on both databases."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER
from cloud.config import Config
from cloud.payouts import service as payouts
from cloud.restore import service
from cloud.restore.command import backup, restore
from protocols.ids import hex8
from tests.cloud.ingest.peer import BREAKFAST, NOON, PRICES, World
from tests.cloud.ingest.test_recovery import meet, school

PRICE = PRICES[BREAKFAST]


@pytest.fixture
def world(store: Engine, empty_url: str, tmp_path):
    made = Cloud(store, tmp_path)
    made.config = Config(tmp_path, empty_url)
    made.config.write()
    yield made
    made.check_books()


class Cloud(World):
    """A school on a data folder."""

    config: Config


def run(world: Cloud, command, *arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(command, [*map(str, arguments), "--config", str(world.config.path)])
    return done.exit_code, done.output


def again(world: Cloud) -> None:
    world.engine.dispose()
    world.restart()


def test_restore_brings_everything_back(world: Cloud, tmp_path) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    code, said = run(world, backup, tmp_path / "kept")
    assert (code, said.splitlines()[1:]) == (0, [f"school {hex8(world.school)}: 5 entries, 1 records"])
    assert not list((tmp_path / "kept").rglob("kek"))
    assert (tmp_path / "kept-keys" / "kek").stat().st_mode & 0o077 == 0
    world.line.sell(account)
    world.handle(*world.line.all_recs(2))
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 7000, "after the backup", NOON)
    world.engine.dispose()
    code, said = run(world, restore, tmp_path / "kept")
    assert (code, "newer" in said) == (2, True)
    code, said = run(world, restore, tmp_path / "kept", "--force")
    assert code == 0
    assert said.endswith(
        f"school {hex8(world.school)}: incarnation 2, in recovery until its tills are read\n"
    )
    again(world)
    # The second sale is in the archive, the top-up in the bank's file.
    assert world.balances(CATERER) == [2 * PRICE]
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 7000, "after the backup", NOON)
    meet(world, world.line, world.other)
    assert school(world)[2] == "normal"
    assert world.balance(account) == 107_000 - 2 * PRICE


@pytest.mark.parametrize("archive_lost", [False, True])
def test_payouts_are_held_where_the_archive_may_be_short(world: Cloud, tmp_path, archive_lost: bool) -> None:
    world.handle(world.line.hello(1))
    run(world, backup, tmp_path / "kept")
    world.line.sell(world.of_line(world.line)[0])
    world.handle(*world.line.all_recs(2))
    world.engine.dispose()
    if archive_lost:
        # A new machine: what stands there comes from the backup.
        shutil.rmtree(world.config.archive_dir)
    assert run(world, restore, tmp_path / "kept", "--force")[0] == 0
    again(world)
    with db.reading(world.engine) as conn:
        assert (payouts.held(conn, world.school) is not None) is archive_lost


def test_changed_backup_is_refused(world: Cloud, tmp_path) -> None:
    run(world, backup, tmp_path / "kept")
    world.engine.dispose()
    path = tmp_path / "kept" / service.MANIFEST
    good = path.read_text()
    manifest = json.loads(good)
    name = manifest["database"]
    manifest["files"][name]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    code, said = run(world, restore, tmp_path / "kept", "--force")
    assert (code, name in said) == (2, True)
    path.write_text(good)
    (tmp_path / "kept-keys" / "kek").write_bytes(bytes(32))
    assert run(world, restore, tmp_path / "kept", "--force")[0] == 2
    assert run(world, backup, tmp_path / "kept")[0] == 2
    again(world)
    assert school(world)[0] == 1


def test_running_ingest_refuses_restore(world: Cloud, tmp_path) -> None:
    run(world, backup, tmp_path / "kept")
    (world.config.run_dir / "ingest.pid").write_text(f"{os.getpid()}\n")
    code, said = run(world, restore, tmp_path / "kept", "--force")
    assert (code, "stop it first" in said) == (2, True)
