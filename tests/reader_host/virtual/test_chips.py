"""Real boards with real drivers: the chip is a model behind a loopback bus, the card a virtual one."""

import socket
import struct
import threading
import time

import pytest

from protocols.card import application
from protocols.card.credential import card_ref
from protocols.errors import CARD_COPY, OK, READER_DEAD
from protocols.ledger import record
from protocols.wire import table
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.drivers.readers.rig import PROVED, UID7, desfire, masters
from tests.fixtures.components import free_port_number
from tests.reader_host.virtual.hand import REFERENCE_KEY, SETTINGS, Hand, all_arrived, provision

NUMBER = "a:04C767F2066180"
ACCOUNT = 0xA0000077
# 64 more than other virtual boards: the driver, the cipher and the talks lie in this heap with their code,
# which a chip has in its flash.
HEAP_KB = 320


class Milliseconds:
    """Real time as the model has it."""

    def ticks(self):
        return time.monotonic_ns() // 1_000_000


class ChipAtPort:
    """An MFRC522 at a port of this computer: the board is the one who calls."""

    def __init__(self):
        self.crowd = Crowd()
        self.model = Mfrc522Model(self.crowd, Milliseconds())
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                line = self.listener.accept()[0]
            except OSError:
                return
            with line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._answer(line.makefile("rwb", buffering=0))

    def _answer(self, line):
        while len(size := line.read(2)) == 2:
            outgoing = line.read(struct.unpack("<H", size)[0])
            incoming = bytearray(len(outgoing))
            with self.lock:
                self.model.exchange(outgoing, incoming)
            line.write(incoming)

    def lay(self, card):
        with self.lock:
            self.crowd.lay(card)

    def take(self, card):
        with self.lock:
            self.crowd.take(card)

    def close(self):
        self.listener.close()


@pytest.fixture
def chips():
    made = []

    def make(count):
        new = [ChipAtPort() for _ in range(count)]
        made.extend(new)
        return new

    yield make
    for chip in made:
        chip.close()


@pytest.fixture
def start(boards, peers, embedded_broker, chips):
    """start(kind) -> (Hand, Peer, chips): a board with the keys of its role, and its chips."""

    def make(kind):
        port = embedded_broker.port
        at = chips(2 if kind == "gate" else 1)
        role = application.GATE if kind == "gate" else application.CANTEEN
        keys = [{"role": role, "version": 1, "key": masters().of(role, 1).hex()}]
        ports = [chip.port for chip in at]
        board = boards(kind, port, HEAP_KB, reader={"kind": "mfrc522"}, card_keys=keys, reader_ports=ports)
        rows = [
            table.Row(card_ref(REFERENCE_KEY, name)[:8], ACCOUNT, 50_000, 0, flags, 0)
            for name, flags in ((PROVED, 0), (NUMBER, table.COPY))
        ]
        peer = peers(port, provision(kind, port), rows, SETTINGS._replace(verdict_ms=0))
        hand = Hand(board)
        hand.start()
        hand.settle()
        return hand, peer, at

    return make


def test_protected_card_is_served_and_its_copy_is_not(start):
    for kind, good in (("gate", "go"), ("canteen", "served")):
        hand, peer, (chip, *_) = start(kind)
        print(f"a {kind} with an MFRC522 and keys has {hand.ask('status')['heap']} B of heap free")
        card = TypeA(UID7, desfire())
        chip.lay(card)
        verdict = hand.event("verdict")
        assert (verdict["kind"], verdict["refusal"]) == (good, str(OK))
        chip.take(card)
        time.sleep(0.5)
        copy = TypeA(UID7)
        hand.utc += 10
        hand.clock()
        chip.lay(copy)
        verdict = hand.event("verdict")
        assert (verdict["kind"], verdict["refusal"]) == ("ask", str(CARD_COPY))
        all_arrived(hand, peer)
        (note,) = peer.of(record.NOTE)
        assert (note.account, note.amount) == (ACCOUNT, CARD_COPY)
        hand.board.stop()


def test_hundred_proofs_fit_in_the_heap(start):
    hand, peer, (chip, *_) = start("canteen")
    card = TypeA(UID7, desfire())
    for _ in range(100):
        hand.utc += 10
        hand.clock()
        chip.lay(card)
        assert hand.event("verdict")["kind"] in ("served", "ask")
        chip.take(card)
        time.sleep(0.4)
    all_arrived(hand, peer)
    assert int(hand.ask("status")["heap"]) > 8 * 1024


def test_dead_chip_is_told_to_the_parent_and_the_other_works(start):
    hand, peer, (chip, other) = start("gate")
    with chip.lock:
        chip.model.is_dead = True
    began = time.monotonic()
    assert hand.event("reader") == {"side": "in", "code": str(READER_DEAD)}
    assert time.monotonic() - began < 5
    other.lay(TypeA(UID7, desfire()))
    assert hand.event("verdict")["kind"] == "go"
    all_arrived(hand, peer)
    assert [(item.flags, item.amount, item.aux) for item in peer.of(record.NOTE)] == [
        (record.NOTE_READER, READER_DEAD, 0)
    ]
    with chip.lock:
        chip.model.is_dead = False
    assert hand.event("reader") == {"side": "in", "code": str(OK)}


def test_board_without_wires_says_so(boards):
    board = boards(reader={"kind": "wiegand"}, reader_ports=[free_port_number()])
    board.start()
    hand = Hand(board)
    assert hand.event("ended") == {"code": "1"}
    assert hand.faults[0]["thing"] == "reader_wires"
