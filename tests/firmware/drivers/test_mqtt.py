"""The link over a real broker, and over a server that does not behave."""

import socket
import threading
import time

import pytest
from chumicro_sockets.sockets_factory import fixed_connector_factory

from firmware.drivers.mqtt import RETRY_LAST_MS, MqttLink, retry_delay_ms
from firmware.ports.host import send_at_once
from tests.fixtures.components import free_port_number

DOWN = "kk/1/00000001/00000002/down"
UP = "kk/1/00000001/00000002/up"


def link_to(port, name="00000002", subscriptions=(DOWN,)):
    return MqttLink(
        transport=fixed_connector_factory("127.0.0.1", port),
        hurry=send_at_once,
        client_id=name,
        spread=2,
        username="user",
        password="word",
        state_topic=f"kk/1/00000001/{name}/state",
        birth=b"1",
        will=b"0",
        subscriptions=subscriptions,
    )


def turn_until_subscribed(*links):
    """A connection is up before the broker has its subscription, and what comes between the two is lost."""
    granted = []
    for link in links:
        link._client.on_subscribe = lambda topic, _qos: granted.append(topic)
    turn_until(lambda: len(granted) == len(links), *links)
    assert all(link.online for link in links)


def turn_until(condition, *links, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        for link in links:
            link.step()
        time.sleep(0.001)


def close(*links):
    for link in links:
        link._client.disconnect()


def test_messages_go_both_ways(embedded_broker):
    board = link_to(embedded_broker.port)
    cloud = link_to(embedded_broker.port, "cloud", (UP,))
    turn_until_subscribed(board, cloud)
    got = []
    for number in range(30):
        assert board.publish(UP, b"%d" % number * 300)
        turn_until(lambda: got.append(cloud.receive()) or got[-1], board, cloud)
    assert [topic for topic, payload in filter(None, got)] == [UP] * 30
    cloud.publish(DOWN, b"x" * 1024)
    inbound = []
    turn_until(lambda: inbound.append(board.receive()) or inbound[-1], board, cloud)
    assert inbound[-1] == (DOWN, b"x" * 1024)
    assert (board.dropped_in, board.dropped_out, board.failures) == (0, 0, 0)
    close(board, cloud)


def test_oversized_message_is_refused_by_its_length(embedded_broker):
    board = link_to(embedded_broker.port)
    cloud = link_to(embedded_broker.port, "cloud", (UP,))
    turn_until_subscribed(board, cloud)
    cloud.publish(DOWN, b"x" * 4000)
    cloud.publish(DOWN, b"after")
    inbound = []
    turn_until(lambda: inbound.append(board.receive()) or inbound[-1] == (DOWN, b"after"), board, cloud)
    assert (DOWN, b"") in inbound
    assert board.online
    close(board, cloud)


def test_link_comes_back_after_the_broker(embedded_broker):
    board = link_to(embedded_broker.port)
    turn_until(lambda: board.online, board)
    embedded_broker.kill()
    turn_until(lambda: not board.online, board)
    assert not board.publish(UP, b"lost")
    assert 0 < board.step() <= 1300
    embedded_broker.start()
    turn_until_subscribed(board)
    assert board.connection == 2
    cloud = link_to(embedded_broker.port, "cloud", ())
    turn_until(lambda: cloud.online, cloud)
    cloud.publish(DOWN, b"hello again")
    inbound = []
    turn_until(lambda: inbound.append(board.receive()) or inbound[-1], board, cloud)
    close(board, cloud)


def test_full_queue_takes_no_more(embedded_broker):
    board = link_to(embedded_broker.port)
    turn_until(lambda: board.online, board)
    taken = [board.publish(UP, b"x") for _ in range(20)]
    assert taken.count(True) == 8
    assert board.dropped_out == 12
    turn_until(lambda: board.publish(UP, b"room again"), board)
    close(board)


class Rude:
    """A server that answers each connection with the same bytes; `count` connections so far."""

    def __init__(self, answer):
        self.answer = answer
        self.count = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open = []
        self.server = threading.Thread(target=self.serve, daemon=True)
        self.server.start()

    def serve(self):
        while True:
            try:
                connection, _address = self.socket.accept()
            except OSError:
                self.socket.close()
                return
            self.count += 1
            connection.recv(200)
            if self.answer:
                connection.sendall(self.answer)
                self.open.append(connection)
            else:
                connection.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.server.join(5)
        for connection in self.open:
            connection.close()


ACCEPTED = b"\x20\x02\x00\x00"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x20\x02\x00\x05",
        b"\x20\x02\x00\x04",
        b"\xf0\x00rubbish",
        ACCEPTED + b"\x90\x03\x00\x01\x80",
        ACCEPTED + b"\x30\x05\x00\x03\xff\xfe\xfd",
    ],
    ids=["closes", "not authorised", "wrong password", "rubbish", "refused subscription", "broken topic"],
)
def test_rude_server_is_tried_again(answer):
    server = Rude(answer)
    board = link_to(server.port)
    turn_until(lambda: board.failures == 1, board)
    assert not board.online
    assert 500 < board.step() <= 1300
    turn_until(lambda: server.count == 2, board)
    close(board)
    server.close()


def test_nobody_there_is_no_error():
    board = link_to(free_port_number())
    turn_until(lambda: board.failures == 2, board)
    assert board.receive() is None
    close(board)


def test_back_off_doubles_and_spreads():
    for attempt, base in enumerate((1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000)):
        delays = [retry_delay_ms(attempt, device) for device in range(1000, 2000)]
        assert min(delays) >= base * 3 // 4
        assert max(delays) <= min(RETRY_LAST_MS, base * 5 // 4)
        if base < RETRY_LAST_MS:
            # A thousand boards of a city: no tenth of the time sees more than a fifth of them.
            tenth = base // 20
            counts = [sum(1 for delay in delays if start <= delay < start + tenth) for start in delays[::50]]
            assert max(counts) < 200
    assert retry_delay_ms(3, 77) == retry_delay_ms(3, 77)
