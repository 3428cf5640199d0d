"""A played day by its three sides: provisional while boards are open, zero once all have closed it."""

import json
import subprocess
import sys
import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from cloud import db
from cloud.reconciliation import service
from scripts.play.day import read_day
from scripts.play.folder import DataFolder
from scripts.play.play_day import Play
from scripts.play.ports import anywhere
from scripts.play.school import BOARDS, PLAY_SETTINGS, make_school
from scripts.play.town import Town
from tests.system.plays import PATIENCE_S, ROOT, SCHOOL_1

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

ON, ZONE = date(2026, 9, 1), "Europe/Moscow"
START = int(datetime.combine(ON, datetime.min.time(), tzinfo=ZoneInfo(ZONE)).timestamp())


@pytest.fixture
def folder(tmp_path):
    made = DataFolder(tmp_path / "data")
    made.take(fresh=False)
    yield made
    made.close()


def reconcile(folder, *arguments):
    """The exit code and the JSON object of the command."""
    command = [sys.executable, str(ROOT / "scripts" / "klasskart.py"), "reconcile", "--json"]
    command += ["--config", str(folder.path), "--day", ON.isoformat(), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def awaited(config, school_id):
    """The devices that the day waits for."""
    store = db.engine(config.database_url)
    with db.reading(store) as conn:
        found = service.reconcile(conn, school_id, ON.toordinal() - date(1970, 1, 1).toordinal()).awaited
    store.dispose()
    return found


def test_played_day_comes_to_zero(folder, tmp_path):
    taken = set()
    config = folder.configure(broker_port=anywhere(taken), web_port=anywhere(taken))
    made = make_school(
        folder, config, SCHOOL_1, time_zone=ZONE, now=START, strict=False, settings=PLAY_SETTINGS
    )
    taps, _problems = read_day(SCHOOL_1 / "day.csv", on=ON, zone=ZONE, devices=BOARDS)
    town = Town(folder, config, made.world, broker_kind="embedded", say=print)
    try:
        town.start()
        play = Play(town, taps, day_start=START, begun=time.monotonic())
        played = play.run(PATIENCE_S, lambda done: None)
        assert played.reasons == []
        expected = played.values
        code, open_day = reconcile(folder)
        assert (code, open_day["state"], open_day["awaited"]) == (0, "provisional", sorted(BOARDS))
        for hand in play._hands.values():
            hand.finish(START + 86_400 + 60)
        deadline = time.monotonic() + PATIENCE_S
        while awaited(config, made.world.school_id):
            town.supervisor.tick()
            time.sleep(0.2)
            assert time.monotonic() < deadline, "the boards did not close their day"
    finally:
        town.stop()
    code, day = reconcile(folder)
    assert (code, day["state"], day["items"], day["difference_minor"]) == (0, "agrees", [], 0)
    assert day["sales"] == expected["sales"]
    assert day["journal_minor"] == day["books_minor"] == expected["sales_minor"]
    assert sum(one["operations"] for one in day["devices"]) == expected["records_posted"]
    assert day["topups"]["books_minor"] == day["topups"]["bank_minor"] > 0
    assert day["bound"]["total_minor"] > 0

    roubles = f"{expected['sales_minor'] // 100}.{expected['sales_minor'] % 100:02}"
    statement = tmp_path / "caterer.csv"
    statement.write_text(f"date;portions;amount_rub\n01.09.2026;{expected['sales']};{roubles}\n")
    assert reconcile(folder, "--caterer", statement)[0] == 0
    statement.write_text("date;portions;amount_rub\n31.08.2026;1;1.00\n01.09.2026;x;1.00\n")
    refused = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "klasskart.py"), "reconcile", "--config", str(folder.path),
         "--caterer", str(statement)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "caterer.csv:3: portions is no number such as 214" in refused.stderr
    statement.write_text("date;portions;amount_rub\n31.08.2026;2;2.00\n")
    assert reconcile(folder, "--caterer", statement)[0] == 0  # nothing of the refused file was kept
