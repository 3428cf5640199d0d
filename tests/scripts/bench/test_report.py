"""The report of a bench: goals, exit code, and both ways of printing it."""

import json

import pytest
from rich.console import Console

from scripts.bench.report import Goal, Report, Row, as_json, number, show

MET = Goal("times faster than files", 120.0, 100, at_least=True)
MISSED = Goal("block reads a tap", 12.0, 12, at_least=False)


def report(*goals: Goal) -> Report:
    rows = [
        Row("product", "tap", 40.5, "us", 0.01, "files"),
        Row("product", "reads", 4.0, "a tap"),
        Row("files", "tap", None, "us", note="does not fit"),
    ]
    return Report("tap", {"cards": 5000}, list(goals), rows)


def test_goal_at_least_takes_its_limit() -> None:
    assert Goal("x", 100, 100, at_least=True).met
    assert not Goal("x", 99.9, 100, at_least=True).met


def test_goal_under_refuses_its_limit() -> None:
    assert Goal("x", 11.9, 12, at_least=False).met
    assert not MISSED.met


def test_missed_goal_is_exit_code_one() -> None:
    assert report(MET).exit_code == 0
    assert report(MET, MISSED).exit_code == 1


def test_json_holds_the_whole_report() -> None:
    read = json.loads(as_json(report(MET, MISSED)))
    assert read["bench"] == "tap"
    assert read["met"] is False
    assert read["settings"] == {"cards": 5000}
    assert [goal["met"] for goal in read["goals"]] == [True, False]
    assert read["rows"][0] == report(MET).rows[0]._asdict()
    assert read["rows"][2]["value"] is None


def test_table_names_goals_before_figures() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(report(MET, MISSED), console)
    text = console.export_text()
    console.file.close()
    assert text.index("MISSED") < text.index("does not fit")
    assert text.count("product") == 1
    assert "cards 5000" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (4, "4"),
        (0.01234, "0.012"),
        (12.345, "12.35"),
        (123.45, "123.5"),
        (6791.2, "6,791"),
    ],
)
def test_number_keeps_four_figures(value: float | None, text: str) -> None:
    assert number(value) == text
