"""Boards that are switched off and peers that leave at the end of a test, whatever happened."""

import pytest

from reader_host.virtual.board import HEAP_KB, VirtualBoard
from tests.fixtures.components import free_port_number
from tests.reader_host.virtual.hand import SETTINGS, Hand, provision, rows
from tests.reader_host.virtual.peer import Peer


@pytest.fixture
def boards(tmp_path):
    """make(kind, port, ...) -> VirtualBoard; all are switched off at the end."""
    made = []

    def make(kind="gate", port=None, heap_kb=HEAP_KB, **values):
        folder = tmp_path / f"board-{len(made)}"
        given = provision(kind, port or free_port_number()) | values
        board = VirtualBoard.create(folder, given, heap_kb=heap_kb)
        made.append(board)
        return board

    yield make
    for board in made:
        board.stop()


@pytest.fixture
def peers():
    """make(...) -> Peer; all leave at the end, and none may have seen anything impossible."""
    made = []

    def make(*arguments, **options):
        made.append(Peer(*arguments, **options))
        return made[-1]

    yield make
    for peer in made:
        peer.close()
    assert [peer.problems for peer in made] == [[] for _ in made]


@pytest.fixture
def play(boards, peers, embedded_broker):
    """start(kind, rights) -> (Hand, Peer): a board that has its table and settings, and its parent."""

    def start(kind, rights=0, **values):
        port = embedded_broker.port
        board = boards(kind, port, **values)
        peer = peers(port, provision(kind, port), rows(rights), SETTINGS)
        hand = Hand(board)
        hand.start()
        hand.settle()
        return hand, peer

    return start
