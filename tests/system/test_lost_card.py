"""A lost card with real firmware: closed where the board has said so, and refused there."""

import os
import signal
import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from cloud import db
from cloud.archive import Archive
from cloud.config import Config
from cloud.keys import Vault
from cloud.losses import service as losses
from protocols.errors import CARD_BLOCKED
from protocols.ids import parse_hex8
from scripts.play.day import Tap, read_day
from scripts.play.folder import DataFolder
from scripts.play.play_day import Play
from scripts.play.ports import anywhere
from scripts.play.school import BOARDS, PLAY_SETTINGS, make_school
from scripts.play.town import Town
from tests.system.plays import PATIENCE_S, SCHOOL_1

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

ON, ZONE = date(2026, 9, 1), "Europe/Moscow"
START = int(datetime.combine(ON, datetime.min.time(), tzinfo=ZoneInfo(ZONE)).timestamp())
REPORTED = START + 20 * 3600
QUIET_S = 3.0


class Watch:
    """Looks at one report until something is so, while the town goes on."""

    def __init__(self, town: Town, school_id: int) -> None:
        self.town, self.school_id = town, school_id
        self.engine = db.engine(town.config.database_url)

    def look(self, one: losses.Lost) -> losses.Looked:
        with db.reading(self.engine) as conn:
            return losses.look(conn, self.school_id, one)

    def until(self, one: losses.Lost, is_so) -> losses.Looked:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(seen := self.look(one)):
            assert time.monotonic() < deadline, seen
            self.town.supervisor.tick()
            time.sleep(0.1)
        return seen


@pytest.fixture
def folder(tmp_path):
    made = DataFolder(tmp_path / "data")
    made.take(fresh=False)
    yield made
    made.close()


def test_block_is_in_force_when_the_board_has_said_so(folder) -> None:
    taken: set[int] = set()
    config = folder.configure(broker_port=anywhere(taken), web_port=anywhere(taken))
    made = make_school(
        folder, config, SCHOOL_1, time_zone=ZONE, now=START, strict=False, settings=PLAY_SETTINGS
    )
    assert made.world is not None
    taps, _problems = read_day(SCHOOL_1 / "day.csv", on=ON, zone=ZONE, devices=BOARDS)
    town = Town(folder, config, made.world, broker_kind="embedded", say=print)
    watch = Watch(town, made.world.school_id)
    key, credential = next(iter(made.world.cards.items()))
    stopped = town.boards["line-1"]
    try:
        town.start()
        play = Play(town, taps, day_start=START, begun=time.monotonic())
        assert play.run(PATIENCE_S, lambda done: None).reasons == []
        os.kill(stopped.pid or 0, signal.SIGSTOP)
        one = report(watch, config, parse_hex8(key))
        seen = watch.until(one, lambda each: each.force.closed == len(BOARDS) - 1)
        quiet = time.monotonic() + QUIET_S
        while time.monotonic() < quiet:
            town.supervisor.tick()
            time.sleep(0.1)
            seen = watch.look(one)
            assert [door.label for door in seen.force.doors if not door.is_closed] == ["line-1"]
        os.kill(stopped.pid or 0, signal.SIGCONT)
        assert watch.until(one, lambda each: each.force.is_everywhere).after == []
        for label in ("gate-1", "line-1"):
            verdict = play._hands[label].show(Tap(0, REPORTED + 60, label, "in", credential, False))
            assert verdict.refusal == CARD_BLOCKED
        seen = watch.until(one, lambda each: len(each.after) == 2)
        assert {(use.kind, use.refusal) for use in seen.after} == {(losses.REFUSED, CARD_BLOCKED)}
        told = town_texts(config.spool_dir)
        assert sum("card_blocked" in text for text in told) >= 1
    finally:
        town.stop()


def report(watch: Watch, config: Config, account_id: int) -> losses.Lost:
    with db.begin(watch.engine) as conn:
        card = losses.cards_of(conn, watch.school_id, [account_id])[account_id][0]
        return losses.report(
            conn, Vault(config.keys_dir), Archive(config.archive_dir), watch.school_id, account_id,
            card.card_ref,
            reporter=losses.PARENT, who="adult 1", lost_at=REPORTED, now=REPORTED,
        )  # fmt: skip


def town_texts(folder) -> list[str]:
    """The messages in the spool."""
    return [path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))]
