"""A till at the serial wire of a real board: the interpreter with a chip's heap, pyserial opposite."""

import contextlib
import secrets
import time

import pytest
import serial

from protocols.errors import Fault
from protocols.ledger import record
from protocols.wire import till
from reader_host.virtual.cable import Cable
from tests.reader_host.virtual.hand import CARDS, MENU, PRICE, all_arrived

GOOD = MENU[0].good
KEY = till.pairing_key(bytes(range(32)))


class TillEnd:
    """A till as far as a test needs one."""

    def __init__(self, path):
        self.port = serial.Serial(path, timeout=0.05)
        self.talk = till.Talk(KEY, False)
        self.frames = till.Frames()
        self.heard = []

    def listen(self):
        for packet in self.frames.take(self.port.read(256)):
            # What a talk that is over had still to say is nothing any more.
            with contextlib.suppress(Fault):
                self.heard.append(self.talk.open(packet))

    def wait(self, kind):
        """The body of the next message of a kind; what came before it is dropped."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            while self.heard:
                found, body = self.heard.pop(0)
                if found == kind:
                    return body
            self.listen()
        pytest.fail(f"no message {kind} from the line")

    def begin(self):
        """Open a talk, as often as it takes; how the line stands."""
        for _ in range(60):
            self.port.write(self.talk.begin(secrets.token_bytes(till.NONCE_SIZE)))
            until = time.monotonic() + 0.5
            while time.monotonic() < until and not self.talk.is_open:
                self.listen()
            if self.talk.is_open:
                return self.ask()
        pytest.fail("the line does not answer")

    def say(self, kind, body=b""):
        self.port.write(self.talk.seal(kind, body))

    def ask(self):
        self.say(till.ASK)
        return till.unpack_state(self.wait(till.STATE))

    def ring(self, op, *lines):
        """Ring up, and wait until the line has it."""
        self.say(till.RING, till.pack_ring(op, lines))
        assert self.ask().op == op


@pytest.fixture
def cable():
    with Cable() as made:
        yield made


def tap(hand, card):
    hand.utc += 10
    hand.clock()
    hand.board.send(f"card - {card}")


def test_sale_by_a_till(play, cable):
    hand, peer = play("canteen", 100_000, till_port=cable.port)
    end = TillEnd(cable.path)
    opened = end.begin()
    assert (opened.op, opened.sale, opened.table > 0) == (0, 0, True)
    assert opened.flags == till.ONLINE
    # The till's side of the program costs a line 12 KB.
    assert int(hand.ask("status")["heap"]) > 36 * 1024
    end.ring(1, (GOOD, 2))
    tap(hand, CARDS[0])
    served = till.unpack_verdict(end.wait(till.VERDICT))
    assert (served.op, served.kind, served.time) == (1, till.SERVED, hand.utc)
    assert end.ask().sale == served.seq
    tap(hand, CARDS[1])
    assert till.unpack_verdict(end.wait(till.VERDICT))[:2] == (0, till.NOTHING)
    end.say(till.VOID, till.pack_void(served.seq))
    assert till.unpack_voided(end.wait(till.VOIDED))[0] == served.seq
    all_arrived(hand, peer)
    told = [record.unpack(raw) for raw in peer.records.values()]
    kinds = [item.type for item in told]
    assert kinds.count(record.SALE) == kinds.count(record.VOID) == 1
    sold = [item.amount for item in told if item.type == record.SALE]
    assert sold == [2 * PRICE]


def test_cable_that_is_pulled_out_charges_nobody_twice(play, cable):
    """The till learns from the line's last sale whether the card was charged."""
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    end = TillEnd(cable.path)
    before = end.begin().sale
    end.ring(1, (GOOD, 1))
    cable.is_out = True
    tap(hand, CARDS[0])
    served = int(hand.event("verdict")["seq"])
    cable.is_out = False
    state = end.begin()
    assert before == 0
    assert (state.sale, state.sale_time, state.op) == (served, hand.utc, 0)


@pytest.mark.parametrize("is_tapped", [False, True])
def test_power_cut_between_ringing_up_and_the_card(play, cable, is_tapped):
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    end = TillEnd(cable.path)
    end.begin()
    end.ring(1, (GOOD, 1))
    served = 0
    if is_tapped:
        tap(hand, CARDS[0])
        served = till.unpack_verdict(end.wait(till.VERDICT)).seq
    hand.restart()
    state = end.begin()
    assert (state.op, state.sale) == (0, served)
    tap(hand, CARDS[1])
    assert till.unpack_verdict(end.wait(till.VERDICT)).kind == till.NOTHING


def test_line_sells_on_with_noise_on_the_wire(play, cable):
    hand, _peer = play("canteen", 100_000, till_port=cable.port)
    end = TillEnd(cable.path)
    end.begin()
    for _ in range(20):
        end.port.write(secrets.token_bytes(200))
    end.port.write(b"\0")
    end.ring(2, (GOOD, 1))
    tap(hand, CARDS[0])
    assert till.unpack_verdict(end.wait(till.VERDICT))[:2] == (2, till.SERVED)
