"""Free ports: a taken one is passed over, and none is given out twice."""

import socket

import pytest

from scripts.play.ports import LOOPBACK, NoFreePort, anywhere, is_free, preferred


@pytest.fixture
def taken_port():
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_taken_port_moves_up(taken_port):
    assert not is_free(taken_port)
    assert taken_port < preferred(taken_port, set()) < taken_port + 100


def test_one_play_gets_different_ports():
    taken: set[int] = set()
    assert len({anywhere(taken) for _ in range(20)}) == 20


def test_no_port_is_said_plainly():
    with pytest.raises(NoFreePort, match="no free port from 21000 to 21099"):
        preferred(21000, set(range(21000, 21100)))
