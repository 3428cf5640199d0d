"""Bad rows, strict schools, days that do not settle: what is said, and with which exit code."""

import os
import shutil
import signal

import pytest

from tests.system.count_day import count
from tests.system.plays import SCHOOL_1, is_running

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

BAD_ROWS, UNSETTLED, INTERRUPTED = 1, 3, 130


@pytest.fixture
def school(tmp_path):
    """A copy of the example school that a test may spoil."""
    target = tmp_path / "school"
    shutil.copytree(SCHOOL_1, target)
    return target


def add(path, *rows):
    """Add rows to a file; returns the numbers of their lines."""
    first = len(path.read_text(encoding="utf-8").splitlines()) + 1
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{row}\n" for row in rows)
    return range(first, first + len(rows))


def spoil(school):
    """One bad row of each kind; returns the places that must be named."""
    places = []
    for name, row in [
        ("students.csv", "D900;Одна"),
        ("students.csv", "D901;Пуговкин;Лев;Ильич;ZZ9;1;active"),
        ("parents.csv", "D001;мать;Абрикосова Анна;no phone"),
        (
            "cards.csv",
            "D003;" + (school / "cards.csv").read_text(encoding="utf-8").splitlines()[1].split(";")[1],
        ),
        ("topups.csv", "D001;-5.00;B9-1"),
        ("day.csv", "25:61:00;gate-1;in;a:049438914736CC;yes"),
        ("day.csv", "09:00:00;gate-7;in;a:049438914736CC;yes"),
    ]:
        places += [f"{name}:{line}:" for line in add(school / name, row)]
    return places


def test_bad_rows_are_named_and_left_out(klasskart, school):
    """The rest of the day is the same as without them."""
    places = spoil(school)
    play = klasskart("--once", "--json", "--school", school)
    assert play.wait() == BAD_ROWS
    result = play.result()
    del result["seconds"]
    assert result == count(SCHOOL_1)
    assert sorted(line.split(" ")[0] for line in play.complaints().splitlines()) == sorted(places)
    assert all(len(line.split(" ", 1)[1]) > 5 for line in play.complaints().splitlines())


@pytest.mark.parametrize("file", ["students.csv", "day.csv"])
def test_strict_applies_nothing(klasskart, school, file):
    add(school / file, "nonsense")
    play = klasskart("--once", "--json", "--strict", "--school", school)
    assert play.wait() == BAD_ROWS
    assert play.out.read_text(encoding="utf-8") == ""
    assert f"{file}:" in play.complaints()
    assert "nothing was applied" in play.complaints()
    assert play.records() == 0


def test_same_top_ups_again_change_nothing(klasskart, school):
    """Every line of the bank's file comes twice."""
    rows = (school / "topups.csv").read_text(encoding="utf-8").splitlines()[1:]
    add(school / "topups.csv", *rows)
    play = klasskart("--once", "--json", "--school", school)
    assert play.wait() == 0, play.complaints()
    assert play.result()["purses_minor"] == count(SCHOOL_1)["purses_minor"]


def test_silent_board_is_named(klasskart):
    """A board that stands still for good: not settled, and it is said which and how much."""
    play = klasskart("--once", "--json", "--timeout", "8", "--school", SCHOOL_1)
    pid = play.pid_of("line-1")
    os.kill(pid, signal.SIGSTOP)
    assert play.wait() == UNSETTLED
    assert play.result()["unsettled"] > 0
    assert "unsettled: line-1: the board does not answer" in play.complaints()
    assert "taps not played" in play.complaints()


def test_silent_worker_is_named(klasskart):
    """Messages that do not leave are not settled."""
    play = klasskart("--once", "--json", "--timeout", "8", "--school", SCHOOL_1)
    os.kill(play.pid_of("worker"), signal.SIGSTOP)
    assert play.wait() == UNSETTLED
    assert "unsettled: cloud:" in play.complaints()


def test_used_folder_is_refused(klasskart, tmp_path):
    """A play never runs on a school that is there already, nor empties a folder of somebody else."""
    play = klasskart("--once", "--json", "--school", SCHOOL_1)
    assert play.wait() == 0, play.complaints()
    again = klasskart("--once", "--school", SCHOOL_1, "--data", play.data)
    assert again.wait() == UNSETTLED
    assert "has a school already" in again.complaints()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter.txt").write_text("dear")
    greedy = klasskart("--once", "--fresh", "--school", SCHOOL_1, "--data", precious)
    assert greedy.wait() == UNSETTLED
    assert "files that are not a demo's" in greedy.complaints()
    assert (precious / "letter.txt").read_text() == "dear"


def test_interrupted_play_leaves_nothing(klasskart):
    """Ctrl-C in the middle of a day: its own exit code, no result, no process."""
    play = klasskart("--once", "--json", "--school", SCHOOL_1)
    pids = play.pids()
    os.kill(play.process.pid, signal.SIGINT)
    assert play.wait() == INTERRUPTED
    assert play.out.read_text(encoding="utf-8") == ""
    assert [name for name, pid in pids.items() if is_running(pid)] == []
