"""Behind a restore that may have lost the archive, payouts wait until a person has compared them."""

import json
import shutil

import pytest
from click.testing import CliRunner

from cloud import db
from cloud.cli import cloud
from cloud.config import Config
from cloud.ingest import service as ingest
from cloud.payouts import service as payouts
from protocols.errors import PAYOUTS_HELD
from tests.cloud.ingest.peer import World
from tests.cloud.ingest.test_recovery import backup, meet, school, set_back
from tests.cloud.payouts.test_payouts import ask, drive, pupil_of, seen
from tests.cloud.payouts.test_payouts_again import made, raised


@pytest.fixture
def world(store_sqlite, tmp_path):
    found = made(store_sqlite, tmp_path)
    yield found
    found.check_books()


def gone_back(world: World, *, archive_lost: bool) -> None:
    """10,000 of R1 leave, then the database of before is there again, and at times the archive of before."""
    ask(world, pupil_of(world), 30_000)
    kept, archive = backup(world), world.folder / "archive"
    shutil.copytree(archive, world.folder / "archive-kept")
    assert drive(world) == 10_000
    world.handle(world.line.hello(1))
    world.line.sell(pupil_of(world))
    world.handle(*world.line.all_recs())
    retained = world.ingest.heads(everything=True)[-1].payload
    set_back(world, kept)
    if archive_lost:
        shutil.rmtree(archive)
        shutil.copytree(world.folder / "archive-kept", archive)
        world.restart()
    world.ingest.start({world.school: retained})
    assert school(world)[2] == "recovery"
    meet(world, world.line, world.other)
    assert school(world)[2] == "normal"


def release(world: World, reason: str = "the bank has paid 100.00 of R1") -> payouts.Hold:
    with db.begin(world.engine) as conn:
        return payouts.release(conn, world.archive, world.school, who="clerk", reason=reason, now=world.now)


def cancel(world: World, key: str = "R1") -> payouts.Payout:
    with db.begin(world.engine) as conn:
        return payouts.cancel(conn, world.archive, world.school, key, world.now)


def recalls(world: World) -> int:
    return world.rows("SELECT count(*) FROM downlink WHERE school_id = ? AND kind = 'recall'")[0][0]


def test_whole_archive_holds_nothing(world) -> None:
    gone_back(world, archive_lost=False)
    assert (seen(world).state, seen(world).paid_minor) == ("open", 10_000)
    with pytest.raises(payouts.PayoutRefused, match="no payouts are held"):
        release(world)


def test_what_a_lost_archive_knew_is_not_paid_again(world) -> None:
    gone_back(world, archive_lost=True)
    assert (seen(world).state, seen(world).paid_minor) == ("held", 0)
    assert {"archive_short", "payouts_held"} <= {kind for kind, _detail in raised(world)}
    with db.reading(world.engine) as conn:
        wanted = payouts.reserved(conn, world.school)
    assert (drive(world), recalls(world), wanted) == (0, 0, {pupil_of(world): 30_000})


def test_nothing_is_asked_for_while_payouts_are_held(world) -> None:
    gone_back(world, archive_lost=True)
    with pytest.raises(payouts.PayoutRefused, match="refusal 93") as refused:
        ask(world, pupil_of(world), 1_000, key="R2")
    assert refused.value.code == PAYOUTS_HELD
    # The same key is the same request, and pays nothing.
    assert ask(world, pupil_of(world), 30_000).paid_minor == 0
    assert (drive(world), len(world.rows("SELECT number FROM payout WHERE school_id = ?"))) == (0, 1)


def test_person_compares_and_lets_them_go_on(world) -> None:
    gone_back(world, archive_lost=True)
    with pytest.raises(payouts.PayoutRefused, match="needs a reason"):
        release(world, "  ")
    assert cancel(world).state == "cancelled"
    release(world)
    assert ask(world, pupil_of(world), 1_000, key="R2").state == "open"
    assert world.rows("SELECT released_by, release_reason FROM payout_hold WHERE school_id = ?") == [
        ("clerk", "the bank has paid 100.00 of R1")
    ]
    assert raised(world)[0] == ("payouts_released", "clerk: the bank has paid 100.00 of R1")


def test_hold_outlives_a_start_and_a_second_restore(world) -> None:
    gone_back(world, archive_lost=True)
    world.restart()
    world.ingest.start({})
    assert seen(world).state == "held"
    release(world)
    world.ingest.recover(world.school, "again", is_archive_whole=True)
    assert seen(world).state == "open"
    world.ingest.recover(world.school, "nobody knows of the archive")
    assert seen(world).state == "held"


def test_database_of_before_the_hold_brings_no_payout_back(world) -> None:
    young = backup(world)
    gone_back(world, archive_lost=True)
    set_back(world, young)
    world.restart()
    world.ingest.recover(world.school, "announced", is_archive_whole=True)
    assert (seen(world).state, drive(world)) == ("held", 0)
    release(world)
    set_back(world, young)
    world.restart()
    world.ingest.recover(world.school, "announced", is_archive_whole=True)
    assert seen(world).state == "open"


def test_commands_name_the_hold_and_release_it(world) -> None:
    gone_back(world, archive_lost=True)
    config = Config(world.folder, str(world.engine.url))
    config.write()

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cloud, [*words, "--config", str(config.path)])
        return done.exit_code, done.output

    code, said = run("payouts")
    assert (code, said.startswith("held since "), said.count("  held\n")) == (0, True, 1)
    assert [one["state"] for one in json.loads(run("payouts", "--json")[1])] == ["held"]
    code, said = run("payout", f"{pupil_of(world):08x}", "5", "--reason", "leaves", "--key", "R3")
    assert (code, "refusal 93" in said) == (2, True)
    assert run("payouts-release", "--reason", "compared")[0] == 0
    assert run("payouts-release", "--reason", "compared")[0] == 2
    assert "held" not in run("payouts")[1]


def test_length_of_the_archive_is_known_from_its_witness(world) -> None:
    world.handle(world.line.hello(1))
    folder = world.archive.folder
    assert ingest.archive_lengths(world.vault, folder) == {world.school: world.archive.length()}
    path = next(folder.glob("*.head"))
    path.write_bytes(bytes(len(path.read_bytes())))
    assert ingest.archive_lengths(world.vault, folder) == {}
