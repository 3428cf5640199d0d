"""The lines around a virtual board: their order, their bound, and what happens to rubbish."""

import os

import pytest

from firmware.ports import host
from firmware.ports.host_world import HostClock, World, WorldClock, WorldPanel, WorldPortal, WorldReader
from protocols.ledger.record import Record


class Uptime:
    """Milliseconds that a test sets."""

    now = 5

    def ticks_ms(self):
        return self.now

    def ticks_diff(self, later, earlier):
        return later - earlier


class Pipe:
    """A world on two real pipes."""

    def __init__(self):
        board_reads, self.feed = os.pipe()
        self.answers, board_writes = os.pipe()
        self.source = os.fdopen(board_reads, "rb", buffering=0)
        self.sink = os.fdopen(board_writes, "wb", buffering=0)
        self.clock = WorldClock(Uptime())
        self.world = World(self.clock, self.source, self.sink)

    def send(self, *lines):
        for line in lines:
            os.write(self.feed, line.encode() + b"\n")
        self.world.read()

    def heard(self):
        return os.read(self.answers, 4096).decode().splitlines()

    def close(self):
        for stream in (self.source, self.sink):
            stream.close()
        for end in (self.feed, self.answers):
            os.close(end)


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


def test_clock_takes_effect_in_its_turn(pipe):
    reader, portal = WorldReader(pipe.world), WorldPortal(pipe.world)
    pipe.send("clock 100 1000", "card in a:04C716D0", "clock 200 2000", "rotor in", "card out a:04900A33")
    assert portal.next_turn() is None
    tap = reader.next_tap()
    assert (tap.side, tap.credential, tap.time, tap.ticks) == ("in", "a:04C716D0", 100, 1000)
    assert reader.next_tap() is None
    turn = portal.next_turn()
    assert (turn.direction, turn.time, turn.ticks) == ("in", 200, 2000)
    assert reader.next_tap().time == 200


def test_basket_is_told_when_it_holds(pipe):
    """What is said before it is about the basket before: so a till knows which one a card has paid."""
    reader, panel = WorldReader(pipe.world), WorldPanel(pipe.world)
    pipe.send("basket 7:1", "card - a:04C716D0", "basket", "card - a:04900A33")
    assert reader.next_tap().credential == "a:04C716D0"
    assert panel.next_basket() == ((7, 1),)
    assert pipe.heard() == ["basket goods=1"]
    assert reader.next_tap().credential == "a:04900A33"
    assert pipe.heard() == ["basket goods=0"]


def test_card_at_a_till_without_a_basket_buys_nothing(pipe):
    panel = WorldPanel(pipe.world)
    assert panel.next_basket() is None
    pipe.send("staffed")
    assert panel.next_basket() == ()


def test_questions_do_not_wait_for_cards(pipe):
    panel = WorldPanel(pipe.world)
    pipe.send("card - a:04C716D0", "status", "last")
    assert [panel.next_question() for _ in range(3)] == ["status", "last", None]


@pytest.mark.parametrize(
    "line", ["", "void", "void x", "card", "card up a:1", "card in", "rotor", "clock x 1", "open", "rotor -"]
)
def test_rubbish_is_counted(pipe, line):
    pipe.send(line, "card in a:04C716D0")
    assert WorldReader(pipe.world).dropped == 1
    assert pipe.heard() == ["fault 100 line"]
    assert WorldReader(pipe.world).next_tap() is not None


def test_queue_of_events_has_a_bound(pipe):
    reader = WorldReader(pipe.world)
    for _ in range(10):
        pipe.send(*["card in a:04C716D0"] * 10)
    for _ in range(10):
        pipe.world.read()
    assert pipe.world.is_full
    count = 0
    while reader.next_tap() is not None:
        count += 1
        pipe.world.read()
    assert count == 100


def test_end_of_input_ends_the_world(pipe):
    other = Pipe()
    os.close(other.feed)
    other.world.read()
    assert other.world.closed
    other.feed = os.open(os.devnull, os.O_RDONLY)
    other.close()


def test_world_without_a_listener_ends(pipe):
    os.close(pipe.answers)
    WorldPanel(pipe.world).ready(1, 1)
    assert pipe.world.closed
    pipe.answers = os.open(os.devnull, os.O_RDONLY)


def test_panel_says_what_the_line_protocol_says(pipe):
    panel = WorldPanel(pipe.world)
    panel.ready(0xAB, 7)
    panel.verdict("go", 0, 8, 100)
    panel.passage(9, "turned", 8)
    panel.last(None, 0, False)
    panel.last(Record(8, 2, 20000, 8, 100, 11, 0, 1), 0, True)
    panel.status([("next", 9), ("online", 0)])
    panel.fault(12, "sector 3")
    assert pipe.heard() == [
        "ready device=000000ab next=7",
        "verdict kind=go refusal=0 seq=8 time=100",
        "passage seq=9 stage=turned of=8",
        "last seq=0 type=0 flags=0 time=0 refusal=0 open=0",
        "last seq=8 type=8 flags=2 time=100 refusal=0 open=1",
        "status next=9 online=0",
        "fault 12 sector_3",
    ]


def test_world_clock_moves_by_lines_only(pipe):
    clock = pipe.clock
    clock.at_least(50)
    assert (clock.utc(), clock.known, clock.settable) == (50, False, False)
    clock.follow(10, 20)
    clock.at_least(99)
    clock.set_utc(500)
    assert (clock.utc(), clock.ticks(), clock.known) == (10, 20, True)
    assert (clock.elapsed(30, 20), clock.uptime(), clock.uptime_elapsed(9, 5)) == (10, 5, 4)


def test_host_clock_keeps_the_difference():
    clock = HostClock(Uptime())
    now = clock.utc()
    clock.set_utc(now + 1000)
    assert 999 <= clock.utc() - now <= 1060
    assert (clock.ticks(), clock.elapsed(9, 5)) == (5, 4)


class Silent:
    """A link without a socket."""

    def pollable(self):
        return None, 0


def test_waiter_wakes_on_a_line(pipe):
    waiter = host.Waiter(pipe.world, Silent())
    os.write(pipe.feed, b"card in a:04C716D0\n")
    waiter.wait(20000)
    assert WorldReader(pipe.world).next_tap() is not None
    waiter.wait(0)


def test_basket_is_for_the_card_behind_it(pipe):
    reader, panel = WorldReader(pipe.world), WorldPanel(pipe.world)
    pipe.send("basket 12:2 3:1", "card - a:04C716D0", "card - a:04C716D1", "basket 9:1")
    assert panel.next_basket() is None
    assert reader.next_tap() is not None
    assert (panel.next_basket(), panel.next_basket()) == (((12, 2), (3, 1)), None)
    assert reader.next_tap() is not None
    assert panel.next_basket() is None
    # A card that is not taken yet finds the newest of what was rung up, or nothing of it.
    pipe.send("basket 4:1", "card - a:04C716D0", "basket 4:1", "basket", "card - a:04C716D0")
    assert reader.next_tap() is not None
    assert panel.next_basket() == ((4, 1),)
    assert reader.next_tap() is not None
    assert panel.next_basket() is None
    pipe.send("basket 1", "basket a:b", "basket 1:2:3")
    assert reader.dropped == 3


def test_voids_are_asked_and_answered(pipe):
    panel = WorldPanel(pipe.world)
    pipe.send("void 12", "void 9")
    assert [panel.next_void() for _ in range(3)] == [12, 9, None]
    panel.voided(12, 0, 13)
    panel.voided(9, 38, 0)
    assert pipe.heard() == ["voided of=12 refusal=0 seq=13", "voided of=9 refusal=38 seq=0"]
    pipe.send(*["void 1"] * 10)
    assert WorldReader(pipe.world).dropped == 2
