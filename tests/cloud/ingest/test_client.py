"""Ingest as a process, against the embedded broker and a mosquitto with passwords and topic rights."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from cloud import db, migrations
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER
from cloud.devices import service as devices
from cloud.ingest.client import Client, Delivery
from cloud.ingest.service import Incoming
from protocols.errors import WIRE_LENGTH
from protocols.wire import envelope
from tests.cloud.ingest.peer import NOON, Peer, World
from tests.cloud.ingest.wire import IngestProcess, Link, config_of, link_of, wait_for
from tests.fixtures.components import free_port_number

USER, SECRET = "ingest", "not-a-secret"


class Town:
    """A world, a broker and an ingest process."""

    def __init__(self, world: World, broker: Any, process: IngestProcess, passwords: dict[int, str]) -> None:
        self.world = world
        self.broker = broker
        self.process = process
        self._passwords = passwords
        self._links: list[Link] = []

    def link(self, peer: Peer) -> Link:
        """Connect a device."""
        link = link_of(peer, self.broker.port, self._passwords.get(peer.device, ""))
        self._links.append(link)
        return link

    def wait_for_ack(self, peer: Peer, link: Link, next_wanted: int) -> None:
        """Wait until the device is told that everything arrived."""
        wait_for(lambda: next_wanted in peer.told(link.got, envelope.ACK), f"the ACK of {next_wanted}")

    def close(self) -> None:
        """End the connections and the process."""
        for link in self._links:
            link.close()
        self.process.stop()


@pytest.fixture
def towns(
    tmp_path, request: pytest.FixtureRequest, mosquitto: Callable[..., Any]
) -> Iterator[Callable[[str], Town]]:
    """Makes a town on one kind of broker."""
    made: list[Town] = []

    def make(kind: str) -> Town:
        url = f"sqlite:///{tmp_path / 'cloud.db'}"
        engine = db.engine(url)
        migrations.upgrade(engine)
        world = World(engine, tmp_path)
        passwords: dict[int, str] = {}
        if kind == "embedded":
            broker = request.getfixturevalue("embedded_broker")
            config = config_of(tmp_path, url, broker.port)
        else:
            port = free_port_number()
            passwords = {peer.device: peer.password for peer in (world.line, world.other, world.gate)}
            with db.begin(engine) as conn:
                path = devices.broker_files(
                    conn, tmp_path / "broker", username=USER, password=SECRET, port=port
                )
            broker = mosquitto(config=path, port=port)
            config = config_of(tmp_path, url, port, USER, SECRET)
        town = Town(world, broker, IngestProcess(config), passwords)
        made.append(town)
        return town

    yield make
    for town in made:
        with contextlib.suppress(ProcessLookupError):
            town.close()
        town.world.engine.dispose()


BROKERS = ["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)]


@pytest.fixture(params=BROKERS)
def town(request: pytest.FixtureRequest, towns: Callable[[str], Town]) -> Town:
    """A town whose ingest runs."""
    made = towns(request.param)
    made.process.start()
    return made


def sales(engine: Engine, school: int) -> int:
    with db.reading(engine) as conn:
        return accounting.balances(conn, school, [CATERER])[CATERER]


def test_records_travel_to_the_books(town: Town) -> None:
    world = town.world
    link = town.link(world.line)
    link.publish(world.line.hello())
    wait_for(lambda: bool(world.line.told(link.got, envelope.TIME)), "the answer to HELLO")
    for account in world.of_line(world.line) * 20:
        world.line.sell(account)
    bad = Incoming(world.line.topic("up"), b"noise")
    link.publish(bad, *world.line.all_recs(), bad)
    town.wait_for_ack(world.line, link, world.line.next_seq)
    # CAP is 500 roubles: five breakfasts fit each pupil's rights, the others wait in suspense.
    assert sales(world.engine, world.school) == 5 * 8500 * len(world.of_line(world.line))
    counted = (world.line.device, WIRE_LENGTH)
    wait_for(lambda: world.refusals().get(counted) == 2, "the count of bad messages")
    assert town.process.stop() == 0
    world.check_books()


def test_witness_and_traffic_keep_one_connection(town: Town) -> None:
    """Both run at once for some turns of the witness; rumqttd ends a connection whose order is broken."""
    world, account = town.world, town.world.of_line(town.world.line)[0]
    link = town.link(world.line)
    for turn in range(1, 401):
        # Always some messages that wait for their commit while the witness comes round.
        world.line.sell(account)
        link.publish(world.line.recs(turn, 1), world.line.hello())
        threading.Event().wait(0.01)
    town.wait_for_ack(world.line, link, 401)
    assert town.process.connections() == 1


def test_killed_ingest_goes_on_where_it_was(town: Town) -> None:
    world, account = town.world, town.world.of_line(town.world.line)[0]
    link = town.link(world.line)
    for _ in range(3):
        world.line.sell(account)
    link.publish(*world.line.all_recs())
    town.wait_for_ack(world.line, link, 4)
    town.process.kill()
    world.line.sell(account)
    link.publish(*world.line.all_recs())
    town.process.start()
    link.publish(*world.line.all_recs())  # a device sends again what was not acknowledged
    town.wait_for_ack(world.line, link, 5)
    assert sales(world.engine, world.school) == 4 * 8500
    world.check_books()


def test_restarted_broker_is_found_again(town: Town) -> None:
    world, account = town.world, town.world.of_line(town.world.line)[0]
    link = town.link(world.line)
    world.line.sell(account)
    link.publish(*world.line.all_recs())
    town.wait_for_ack(world.line, link, 2)
    connections = town.process.connections()
    town.broker.kill()
    town.broker.start()
    wait_for(lambda: town.process.connections() > connections, "the new connection of ingest")
    world.line.sell(account)
    again = town.link(world.line)
    again.publish(*world.line.all_recs())
    town.wait_for_ack(world.line, again, 3)
    assert sales(world.engine, world.school) == 2 * 8500


def test_work_of_other_processes_is_done_quickly(town: Town) -> None:
    world = town.world
    link = town.link(world.line)
    link.publish(world.line.hello(1))
    wait_for(lambda: bool(world.line.told(link.got, envelope.ACK)), "the answer to HELLO")
    account = world.of_line(world.line)[0]
    world.line.write(3, 0, account, 50_000)
    world.line.sell(account)
    link.publish(*world.line.all_recs())
    town.wait_for_ack(world.line, link, 3)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 100_000, "more", NOON)
    wait_for(lambda: bool(world.line.told(link.got, envelope.GRANT)), "the GRANT of a top-up", 5)
    assert world.line.told(link.got, envelope.GRANT) == [[(account, 0, 58_500)]]


@pytest.mark.mosquitto
def test_device_can_neither_speak_nor_listen_for_another(towns: Callable[[str], Town]) -> None:
    town = towns("mosquitto")
    world, port = town.world, town.broker.port
    mine, theirs = world.line, world.other
    name = f"{mine.device:08x}"
    spied = (*(theirs.topic(leaf) for leaf in ("up", "down", "tbl", "state")), "kk/#", "#")
    thief = Link(port, name, mine.password, subscribe=(*spied, mine.topic("down")))
    wait_for(lambda: thief.connected, "the connection of the thief")
    ingest = Link(port, USER, SECRET, subscribe=("kk/1/+/+/up",))
    wait_for(lambda: ingest.connected, "the connection of ingest")
    victim = link_of(theirs, port, theirs.password)
    thief.publish(*(Incoming(theirs.topic(leaf), b"stolen") for leaf in ("up", "down", "tbl", "state")))
    thief.publish(Incoming(mine.topic("down"), b"to myself"), Incoming(mine.topic("up"), b"mine"))
    victim.publish(Incoming(theirs.topic("up"), b"theirs"))
    ingest.publish(Incoming(theirs.topic("down"), b"secret"), Incoming(mine.topic("down"), b"for me"))
    wait_for(lambda: len(ingest.got) >= 2 and bool(thief.got) and bool(victim.got), "what is allowed")
    # One more round, so that anything forbidden would have come before it.
    ingest.publish(Incoming(mine.topic("down"), b"last"), Incoming(theirs.topic("down"), b"last"))
    wait_for(lambda: any(m.payload == b"last" for m in thief.got), "the last message")
    wait_for(lambda: any(m.payload == b"last" for m in victim.got), "the last message")
    assert {message.payload for message in thief.got} == {b"for me", b"last"}
    assert {message.payload for message in victim.got} == {b"secret", b"last"}
    assert sorted(message.payload for message in ingest.got) == [b"mine", b"theirs"]
    for link in (thief, ingest, victim):
        link.close()


@pytest.mark.mosquitto
def test_nobody_connects_without_a_password(towns: Callable[[str], Town]) -> None:
    town = towns("mosquitto")
    name = f"{town.world.line.device:08x}"
    for secret in ("", "wrong", town.world.other.password):
        refused_link(town.broker.port, name, secret)


def refused_link(port: int, name: str, secret: str) -> None:
    link = Link(port, name, secret)
    wait_for(lambda: bool(link.refused), "the refusal")
    link.close()


@pytest.mark.mosquitto
def test_loose_rights_would_be_seen(towns: Callable[[str], Town]) -> None:
    """The test above can fail: with rights that allow everything the thief gets the victim's message."""
    town = towns("mosquitto")
    mine, theirs = town.world.line, town.world.other
    town.broker.stop()
    (town.world.folder / "broker" / "rights").write_text("pattern readwrite kk/#\n", encoding="ascii")
    town.broker.start()
    name = f"{mine.device:08x}"
    thief = Link(town.broker.port, name, mine.password, subscribe=(theirs.topic("down"),))
    wait_for(lambda: thief.connected, "the connection of the thief")
    ingest = Link(town.broker.port, USER, SECRET)
    wait_for(lambda: ingest.connected, "the connection of ingest")
    ingest.publish(Incoming(theirs.topic("down"), b"secret"))
    wait_for(lambda: bool(thief.got), "the theft")
    thief.close()
    ingest.close()


@pytest.mark.mosquitto
def test_device_cannot_take_the_session_of_another(towns: Callable[[str], Town]) -> None:
    """The client id is the user name, whatever a device calls itself."""
    town = towns("mosquitto")
    mine, theirs = town.world.line, town.world.other
    victim = town.link(theirs)
    thief = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{theirs.device:08x}", clean_session=False)
    thief.username_pw_set(f"{mine.device:08x}", mine.password)
    thief.connect("127.0.0.1", town.broker.port)
    thief.loop_start()
    wait_for(thief.is_connected, "the connection of the thief")
    ingest = Link(town.broker.port, USER, SECRET)
    wait_for(lambda: ingest.connected, "the connection of ingest")
    ingest.publish(Incoming(theirs.topic("down"), b"secret"))
    wait_for(lambda: bool(victim.got), "the message of the victim")
    assert victim.connected
    thief.disconnect()
    thief.loop_stop()
    ingest.close()


def test_message_that_breaks_us_is_left_and_the_rest_goes_on(store_sqlite: Engine, tmp_path, capsys) -> None:
    world = World(store_sqlite, tmp_path)
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    world.gate.walk(account)
    bad = world.other.hello()
    handle = world.ingest.handle

    def break_at(incoming: Any) -> Any:
        if bad in incoming:
            raise ZeroDivisionError("secret words")
        return handle(incoming)

    world.ingest.handle = break_at  # type: ignore[method-assign]
    client = Client(config_of(tmp_path, str(store_sqlite.url), 1), world.ingest)
    batch = [*world.line.all_recs(), bad, *world.gate.all_recs()]
    client._take([Delivery(message, 0, 0, 0) for message in batch], threading.Event())
    assert [len(world.records(peer)) for peer in (world.line, world.gate)] == [1, 2]
    said = capsys.readouterr()
    assert world.other.topic("up") in said.out + said.err
    assert "secret words" not in said.out + said.err


def test_store_that_is_down_is_waited_for(store_sqlite: Engine, tmp_path) -> None:
    world = World(store_sqlite, tmp_path)
    world.line.sell(world.of_line(world.line)[0])
    handle, tries = world.ingest.handle, 0

    def fail_twice(incoming: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OperationalError("statement", None, Exception("database is locked"))
        return handle(incoming)

    world.ingest.handle = fail_twice  # type: ignore[method-assign]
    client = Client(config_of(tmp_path, str(store_sqlite.url), 1), world.ingest)
    client._take([Delivery(message, 0, 0, 0) for message in world.line.all_recs()], threading.Event())
    assert tries == 3
    assert len(world.records(world.line)) == 1
