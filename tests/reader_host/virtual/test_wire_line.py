"""The line over a real serial device: a real board behind a cable that is pulled out and lies."""

import os
import queue
from random import Random

import pytest

from protocols.wire import till as wire
from reader_host.till import line
from reader_host.till.wire_line import WireLine
from reader_host.virtual.cable import Cable
from tests.reader_host.virtual.hand import CARDS, MENU

KEY = wire.pairing_key(bytes(range(32)))
GOOD = MENU[0].good


class Heard:
    """What a till hears."""

    def __init__(self, path, key=KEY):
        self.events = queue.Queue()
        self.line = WireLine(path, key, self.events.put)

    def wait(self, *kinds):
        """The next event of these kinds; what comes between is dropped."""
        while True:
            try:
                event = self.events.get(timeout=40)
            except queue.Empty:
                pytest.fail(f"no {kinds} from the line")
            if isinstance(event, kinds):
                return event

    def ring(self, *lines):
        self.line.ring_up(lines)
        self.wait(line.RungUp)


@pytest.fixture
def cable():
    with Cable() as made:
        yield made


@pytest.fixture
def heard(cable):
    made = Heard(cable.path)
    made.line.start()
    yield made
    made.line.stop()


def tap(hand, card):
    hand.utc += 10
    hand.clock()
    hand.board.send(f"card - {card}")


def test_sale_and_its_end(play, cable, heard):
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    heard.wait(line.LineReady)
    heard.ring((GOOD, 2))
    tap(hand, CARDS[0])
    verdict = heard.wait(line.Verdict)
    assert (verdict.kind, verdict.time) == (line.SERVED, hand.utc)
    heard.line.ask_last()
    assert heard.wait(line.Last) == line.Last(line.SALE, verdict.seq, hand.utc)
    tap(hand, CARDS[1])
    assert heard.wait(line.Verdict).kind == line.NOTHING
    heard.line.take_back(verdict.seq)
    voided = heard.wait(line.Voided)
    assert voided.of == verdict.seq < voided.seq
    heard.line.ask_last()
    assert heard.wait(line.Last)[:2] == (line.VOID, voided.seq)
    heard.line.ask_status()
    status = heard.wait(line.Status)
    assert status.online
    assert status.table > 0


def test_cable_that_was_out_tells_of_the_sale_and_charges_nobody_twice(play, cable, heard):
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    heard.wait(line.LineReady)
    heard.ring((GOOD, 1))
    cable.is_out = True
    tap(hand, CARDS[0])
    served = hand.event("verdict")
    heard.wait(line.LineLost)
    cable.is_out = False
    heard.wait(line.LineReady)
    heard.line.ask_last()
    assert heard.wait(line.Last) == line.Last(line.SALE, int(served["seq"]), hand.utc)
    # Nothing is rung up any more: the same basket does not meet the next child.
    tap(hand, CARDS[1])
    assert heard.wait(line.Verdict).kind == line.NOTHING


def test_power_that_comes_back_begins_anew(play, cable, heard):
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    heard.wait(line.LineReady)
    heard.ring((GOOD, 1))
    hand.restart()
    heard.wait(line.LineLost)
    heard.wait(line.LineReady)
    heard.line.ask_last()
    assert heard.wait(line.Last).what == line.NONE
    heard.ring((GOOD, 1))
    tap(hand, CARDS[0])
    assert heard.wait(line.Verdict).kind == line.SERVED


def test_wire_that_eats_frames_says_a_basket_again_and_loses_no_verdict(play, cable, heard, monkeypatch):
    """A frame in four is spoiled, both ways: every card is charged once, and the till knows of each."""
    hand, _peer = play("canteen", 1_000_000, till_port=cable.port)
    heard.wait(line.LineReady)
    chance, eaten = Random(7), []
    send, write = cable._to_board, os.write

    def spoiled(piece):
        if chance.randrange(4):
            return piece
        eaten.append(piece)
        return bytes(len(piece))

    monkeypatch.setattr(cable, "_to_board", lambda piece: send(spoiled(piece)))
    monkeypatch.setattr("reader_host.virtual.cable.os.write", lambda fd, piece: write(fd, spoiled(piece)))
    sold, known = [], set()
    for card in CARDS[:8]:
        is_rung = False
        while not is_rung:
            heard.line.ring_up(((GOOD, 1),))
            event = heard.wait(line.RungUp, line.LineReady)
            is_rung = isinstance(event, line.RungUp)
        tap(hand, card)
        sold.append(int(hand.event("verdict")["seq"]))
        event = heard.wait(line.Verdict, line.LineReady)
        if isinstance(event, line.LineReady):
            heard.line.ask_last()
            event = heard.wait(line.Last, line.LineReady)
            while isinstance(event, line.LineReady):
                heard.line.ask_last()
                event = heard.wait(line.Last, line.LineReady)
        known.add(event.seq)
    assert len(eaten) > 4
    assert known == set(sold)
    assert 0 not in sold


def test_line_of_another_key_says_nothing(play, cable):
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    stranger = Heard(cable.path, wire.pairing_key(bytes(32)))
    stranger.line.start()
    for _ in range(40):
        if int(hand.ask("status")["refused"]) >= 2:
            break
        with pytest.raises(queue.Empty):
            stranger.events.get(timeout=0.2)
    stranger.line.stop()
    assert int(hand.ask("status")["refused"]) >= 2
    assert stranger.events.empty()
