"""The stand: a tap becomes light and record by what the board says, then books and message by the cloud."""

import threading
import time

import pytest

from scripts.play.hand import Hand
from scripts.play.panel.cloud_side import Seen
from scripts.play.panel.stand import Stand
from scripts.play.panel.trail import Choice
from tests.scripts.play.board_model import BoardModel

START = 1788210000


class CloudModel:
    """Knows a record after a few questions, and its messages after some more."""

    def __init__(self, told=True):
        self.told = told
        self.asked = []

    def trace(self, device, seq):
        self.asked.append((device, seq))
        asked = len(self.asked)
        if asked < 3:
            return None
        is_sent = self.told and asked > 5
        return Seen([], self.told, ["Роман: вход в школу 08:12"] if is_sent else [], is_sent)


@pytest.fixture
def stand():
    stopped = threading.Event()
    boards = {"gate-1": BoardModel("gate"), "line-1": BoardModel("canteen", unknown=["a:00000009"])}
    hands = {
        label: Hand(label, board, ticks_ms=lambda at: (at - START) * 1000, needs_line=False, stopped=stopped)
        for label, board in boards.items()
    }
    made = Stand(hands, CloudModel(), stopped)
    made.start()
    yield made
    stopped.set()
    made.join(5)


def followed(stand, device, reader, credential="a:00000001", walks=True, at=START + 30000, undoes=0):
    """The trail of one tap at its end."""
    number = stand.tap(Choice(credential, True, device, reader, at, walks, undoes), "Роман").number
    deadline = time.monotonic() + 20
    while not stand.trails.get(number).is_over:
        assert time.monotonic() < deadline, stand.trails.get(number)
        time.sleep(0.01)
    return stand.trails.get(number).stations


def test_stations_are_reached_in_order(stand):
    stations = followed(stand, "gate-1", "in")
    assert [stations[name].state for name in stations] == ["done"] * 4
    times = [stations[name].ms for name in stations]
    assert times == sorted(times)
    assert stations["record"].facts == {"seq": 1, "at": START + 30000, "stage": "turned", "passage_seq": 2}
    assert stand._cloud.asked[0] == ("gate-1", 2)


def test_tap_without_passage_ends(stand):
    stand._cloud.told = False
    stations = followed(stand, "gate-1", "in", walks=False)
    assert stations["record"].facts["stage"] == "not_turned"
    assert stations["message"].state == "none"


def test_refusal_has_no_message(stand):
    stand._cloud.told = False
    stations = followed(stand, "line-1", "-", credential="a:00000009")
    assert stations["light"].facts == {"verdict": "ask", "refusal": 21}
    assert (stations["books"].state, stations["message"].state) == ("done", "none")


def test_repeat_asks_the_cloud_nothing(stand):
    followed(stand, "line-1", "-")
    asked = len(stand._cloud.asked)
    stations = followed(stand, "line-1", "-", at=START + 30002)
    assert [stations[name].state for name in stations] == ["done", "none", "none", "none"]
    assert len(stand._cloud.asked) == asked


def test_sale_taken_back_has_its_own_trail(stand):
    sale = followed(stand, "line-1", "-")
    seq = sale["record"].facts["seq"]
    stand._cloud.told = False
    for kind, states in (("voided", ["done", "done", "done", "none"]), ("kept", ["done"] + ["none"] * 3)):
        stations = followed(stand, "line-1", "-", undoes=seq)
        assert [stations[name].state for name in stations] == states
        assert stations["light"].facts["verdict"] == kind
