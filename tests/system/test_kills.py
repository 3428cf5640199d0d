"""kill -9 in the middle of a real school's day: whatever dies and comes back, the numbers are the same."""

import random

import pytest

from tests.system.count_day import count
from tests.system.plays import is_running, kill

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

SEED = 20260901


@pytest.mark.parametrize("victim", ["gate-2", "line-1", "broker", "ingest", "web"])
def test_killed_process_changes_no_number(klasskart, school_15, victim):
    """The moment is chosen by a seed, in records that the cloud has by then."""
    expected = count(school_15)
    chance = random.Random(f"{SEED} {victim}")
    moment = chance.randint(expected["records_posted"] // 10, expected["records_posted"] * 7 // 10)
    play = klasskart("--once", "--json", "--school", school_15)
    play.until(lambda: play.records() >= moment, f"record {moment}")
    pid = play.pid_of(victim)
    kill(pid)
    assert play.records() < expected["records_posted"], "killed too late to be in the middle of the day"
    code = play.wait()
    result = play.result()
    del result["seconds"]
    assert result == expected, play.complaints()
    assert play.complaints() == f"{victim} has ended unexpectedly and is started again\n"
    assert code == 0
    assert not is_running(pid)


def test_many_kills_change_no_number(klasskart, school_15):
    """A board is killed again and again while it works."""
    expected = count(school_15)
    chance = random.Random(SEED)
    play = klasskart("--once", "--json", "--school", school_15)
    moments = sorted(chance.sample(range(100, expected["records_posted"] * 7 // 10), 6))
    for moment in moments:
        play.until(lambda moment=moment: play.records() >= moment, f"record {moment}")
        victim = chance.choice(["gate-1", "gate-2", "line-1", "line-2"])
        # It may have been killed a moment ago and not be back yet.
        play.until(lambda victim=victim: is_running(play.pid_of(victim)), f"{victim} to live")
        kill(play.pid_of(victim))
    assert play.wait() == 0, play.complaints()
    result = play.result()
    del result["seconds"]
    assert result == expected
