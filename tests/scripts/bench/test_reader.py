"""A short `bench reader` on the real MicroPython: its figures are counts, so they are the same anywhere."""

import json

import pytest
from click.testing import CliRunner

from scripts.bench.command import bench
from scripts.bench.reader import NAMES, RIVAL


@pytest.fixture(scope="module")
def printed(micropython) -> dict:
    result = CliRunner().invoke(bench, ["reader", "--json", "--polls", "20"], catch_exceptions=False)
    assert result.exit_code == 0, result.stdout
    return json.loads(result.stdout)


def figure(printed, way, name):
    return next(row["value"] for row in printed["rows"] if row["group"] == NAMES[way] and row["name"] == name)


def test_every_goal_is_met(printed):
    assert printed["met"]
    assert [goal["name"] for goal in printed["goals"] if not goal["met"]] == []


def test_look_costs_what_the_page_says(printed):
    assert figure(printed, "mfrc522", "transactions") == 8
    assert figure(printed, "mfrc522", "heap") == 0
    assert figure(printed, "pn532_spi", "transactions") < 12
    assert figure(printed, "pn532_spi", "heap") == figure(printed, "pn532_serial", "heap") == 0


def test_blocking_way_waits_for_the_timer(printed):
    # 15 ms of its timer in one call, with a read and its bytes every 56 us.
    assert 14_000 < figure(printed, RIVAL, "longest call, bus time") < 25_000
    assert 200 < figure(printed, RIVAL, "transactions") < 2004
    assert figure(printed, RIVAL, "heap") > 10_000
