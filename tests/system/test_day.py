"""One school day through everything that is real, against a count that knows nothing of the product."""

import pytest

from tests.fixtures.components import program
from tests.system.count_day import count
from tests.system.plays import SCHOOL_1

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def agreed(command, school):
    """Wait for the end; the result must be the count of the files, but for the time it took."""
    code = command.wait()
    result = command.result()
    seconds = result.pop("seconds")
    assert result == count(school), command.complaints()
    assert seconds > 0
    assert (code, command.complaints()) == (0, "")


def test_day_agrees_with_the_files(klasskart, school_15):
    agreed(klasskart("--once", "--json", "--school", school_15), school_15)


@pytest.mark.mosquitto
def test_day_agrees_on_mosquitto(klasskart, school_15):
    """With passwords and with topic rights for each device."""
    program("mosquitto", package="mosquitto")
    agreed(klasskart("--once", "--json", "--broker", "mosquitto", "--school", school_15), school_15)


def test_two_plays_run_side_by_side(klasskart):
    """Each has its own folder and ports."""
    plays = [klasskart("--once", "--json", "--school", SCHOOL_1) for _ in range(2)]
    for play in plays:
        agreed(play, SCHOOL_1)
