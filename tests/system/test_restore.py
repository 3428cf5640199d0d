"""A restore while real boards go on selling: they end with the books equal to what they sold."""

import queue
import sys
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cloud import bulk, db
from cloud.accounting import service as accounting
from cloud.restore import service as restoring
from scripts.play.folder import DataFolder
from scripts.play.ports import anywhere
from scripts.play.school import PLAY_SETTINGS, make_school
from scripts.play.town import EMBEDDED, Town
from tests.system.plays import ROOT, SCHOOL_1

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]

NOON = int(datetime(2026, 9, 1, 12, 0, tzinfo=ZoneInfo("Europe/Moscow")).timestamp())
PATIENCE_S = 25


class Canteen:
    """Two live lines, a broker and ingest over one school.  `served`: what children got, by the lights."""

    def __init__(self, folder: DataFolder) -> None:
        taken: set[int] = set()
        self.config = folder.configure(broker_port=anywhere(taken), web_port=anywhere(taken))
        made = make_school(
            folder, self.config, SCHOOL_1, time_zone="Europe/Moscow", now=NOON, strict=False,
            # In recovery nothing is granted, and nobody waits long to hear it.
            settings={**PLAY_SETTINGS, "verdict_ms": 3_000},
        )  # fmt: skip
        assert made.world is not None
        self.school, self.cards = made.world.school_id, list(made.world.cards.values())
        self.town = Town(folder, self.config, made.world, broker_kind=EMBEDDED, say=print)
        self.boards = {label: self.town.boards[label] for label in ("line-1", "line-2")}
        self.now = NOON
        self.sold = 0
        self.served = 0
        self.broker = self.town._child("broker", self.town._broker_command())
        self.ingest = self.town._child("ingest", self._command("ingest"))

    def _command(self, name: str) -> list[str]:

        klasskart = [sys.executable, str(ROOT / "scripts" / "klasskart.py"), "cloud", name]
        return [*klasskart, "--config", str(self.config.path)]

    def start(self) -> None:
        self.broker.start()
        self.town._wait_for_port("broker", self.config.broker_port)
        self.ingest.start()
        for board in self.boards.values():
            board.start()

    def stop(self) -> None:
        for board in self.boards.values():
            board.kill()
        self.ingest.kill()
        self.broker.kill()

    def sell(self, count: int) -> None:
        """So many taps, in turn on both lines; an answer must come to each."""
        for _ in range(count):
            self.now += 4
            label = ("line-1", "line-2")[self.sold % 2]
            board, card = self.boards[label], self.cards[self.sold % len(self.cards)]
            self.sold += 1
            board.send(f"clock {self.now} {(self.now - NOON) * 1000}", board.life)
            board.send(f"card - {card}", board.life)
            verdict = self._event(label, "verdict")
            self.served += verdict["kind"] == "served"

    def _event(self, label: str, wanted: str) -> dict[str, str]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                name, fields = self.boards[label].events.get(timeout=0.5)
            except queue.Empty:
                continue
            if name == wanted:
                return fields
        raise AssertionError(f"{label} does not say {wanted}")

    def rows(self, statement: str) -> list[tuple]:
        made = db.engine(self.config.database_url)
        with db.reading(made) as conn:
            found = [tuple(row) for row in bulk.select(conn, statement, (self.school,))]
        made.dispose()
        return found

    def until(self, is_true, what: str) -> None:
        """Wait for something in the database."""
        until = time.monotonic() + PATIENCE_S
        while not is_true():
            assert time.monotonic() < until, f"waited in vain for {what}: {self.story()}"
            time.sleep(0.1)

    def story(self) -> str:
        """What helps to see why."""
        log = (self.config.logs_dir / "ingest.log").read_text(encoding="utf-8")
        modes = self.rows("SELECT incarnation, mode, recovery_reason FROM school WHERE school_id = ?")
        seen = self.rows(
            "SELECT device_id, status, incarn_seen, next_seq FROM device_epoch WHERE school_id = ?"
        )
        return f"{modes} {seen} {log[-2000:]}"

    def taken(self) -> bool:
        """Whether the cloud has every sale."""
        return self.rows("SELECT count(*) FROM record WHERE school_id = ? AND type = 6") == [(self.served,)]

    def ready(self) -> bool:
        """Whether both lines have their table and settings."""
        statement = (
            "SELECT count(*) FROM device WHERE school_id = ? AND kind = 'canteen'"
            " AND table_version > 0 AND settings_version > 0"
        )
        return self.rows(statement) == [(2,)]


@pytest.fixture
def canteen(tmp_path):
    folder = DataFolder(tmp_path / "data")
    folder.take(fresh=True)
    made = Canteen(folder)
    yield made
    made.stop()
    folder.close()


def test_boards_sell_on_through_a_restore(canteen, tmp_path) -> None:
    canteen.start()
    canteen.until(canteen.ready, "tables on both lines")
    canteen.sell(8)
    canteen.until(canteen.taken, "the first sales")
    kept, keys = tmp_path / "kept", tmp_path / "keys"
    restoring.back_up(canteen.config, kept, keys, NOON)
    canteen.sell(6)
    canteen.until(canteen.taken, "sales after the backup")
    canteen.ingest.kill()
    canteen.sell(4)
    restoring.restore(canteen.config, kept, keys, force=True, now=NOON)
    canteen.sell(2)
    canteen.ingest.start()
    canteen.sell(6)
    mode = "SELECT incarnation, mode FROM school WHERE school_id = ?"
    canteen.until(lambda: canteen.rows(mode) == [(2, "normal")], "the end of the recovery")
    canteen.sell(6)
    canteen.until(canteen.taken, "all sales")
    assert canteen.served > 8
    sales = "SELECT count(*), sum(amount), max(refusal) FROM record WHERE school_id = ? AND type = 6"
    [(count, amount, refusal)] = canteen.rows(sales)
    assert (count, refusal) == (canteen.served, 0)
    made = db.engine(canteen.config.database_url)
    with db.reading(made) as conn:
        assert accounting.balances(conn, canteen.school, ["caterer:1"]) == {"caterer:1": amount}
        assert accounting.books_sum(conn, canteen.school) == 0
        assert accounting.differing_balances(conn, canteen.school) == []
    made.dispose()
