"""Broker, publisher and subscribers of `bench ingest`: processes of their own, started and ended here."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.wire import topics
from scripts.bench.device_journal import Message
from scripts.bench.report import BenchError
from scripts.bench.school_day import SchoolDay
from scripts.play import broker
from scripts.play.ports import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
_START_S = 30.0
# So long without any news is no slow machine any more.
_SILENCE_S = 60.0
_GREET_S = 0.5
_INGEST = (sys.executable, str(ROOT / "scripts" / "klasskart.py"), "cloud", "ingest", "--config")


class Stage:
    """A broker for one repetition, and the runs on it."""

    def __init__(self, day: SchoolDay, folder: Path) -> None:
        self._day = day
        self._folder = folder
        self._port = day.config.broker_port
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(_process(broker.embedded(self._folder, self._port)))
            self._wait_for_broker()
            self._open = starting.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def product(self) -> float:
        """Seconds from the first publish to the last ACK, by the real ingest."""
        devices = Devices(self._day, self._port)
        with _process([*_INGEST, str(self._day.config.path)]) as ingest:
            devices.greet(ingest)
            started = time.monotonic()
            devices.send(self._day.stream)
            ended = devices.wait(ingest)
        devices.close()
        return ended - started

    def rival(self, way: str, stream: Sequence[Message], *arguments: Path) -> float:
        """Seconds from the first publish to the last message handled, by a program of subscribers.py."""
        module = [sys.executable, "-m", "scripts.bench.subscribers", way, str(self._port), str(len(stream))]
        devices = Devices(self._day, self._port)
        with _process([*module, *map(str, arguments)]) as subscriber:
            if _line(subscriber) != "ready":
                raise BenchError(f"the subscriber {way} does not subscribe")
            started = time.monotonic()
            devices.send(stream)
            ended = float(_line(subscriber))
        devices.close()
        return ended - started

    def _wait_for_broker(self) -> None:
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                if probe.connect_ex((LOOPBACK, self._port)) == 0:
                    return
            time.sleep(0.02)
        raise BenchError("the broker does not answer")


class Devices:
    """All devices behind one MQTT connection: sends their messages, listens for their ACKs."""

    def __init__(self, day: SchoolDay, port: int) -> None:
        self._day = day
        self._by_topic = {topics.topic(one.school, one.device, topics.DOWN): one for one in day.journals}
        self._wanted = {one.device: len(one.items) + 1 for one in day.journals}
        self._greeted: set[int] = set()
        self._done: set[int] = set()
        self._heard = 0.0
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-devices")
        self._client.on_socket_open = without_delay
        self._client.max_inflight_messages_set(200)
        self._client.on_message = self._on_message
        self._client.connect(LOOPBACK, port)
        self._client.subscribe(f"{topics.PREFIX}/+/+/{topics.DOWN}", qos=1)
        self._client.loop_start()

    def greet(self, ingest: subprocess.Popen[str]) -> None:
        """Say HELLO for every device until all are answered: then ingest is connected and has their keys."""
        until = time.monotonic() + _START_S
        while len(self._greeted) < len(self._wanted):
            _check(ingest, until)
            self.send([journal.hello() for journal in self._day.journals])
            with self._changed:
                self._changed.wait_for(lambda: len(self._greeted) == len(self._wanted), _GREET_S)

    def send(self, stream: Sequence[Message]) -> None:
        """Hand all messages to the MQTT client."""
        for message in stream:
            self._client.publish(message.topic, message.payload, qos=1)

    def wait(self, ingest: subprocess.Popen[str]) -> float:
        """The monotonic clock when the last device had its last ACK."""
        with self._changed:
            while not self._changed.wait_for(lambda: len(self._done) == len(self._wanted), 1):
                _check(ingest, self._heard + _SILENCE_S)
            return self._heard

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        journal = self._by_topic[message.topic]
        acknowledged = journal.acknowledged(bytes(message.payload))
        if not acknowledged:
            return
        with self._changed:
            self._greeted.add(journal.device)
            if acknowledged == self._wanted[journal.device]:
                self._done.add(journal.device)
            self._heard = time.monotonic()
            self._changed.notify_all()

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()


def without_delay(_client: mqtt.Client, _data: Any, connection: Any) -> None:
    """Small packets leave at once; the product's own connection does the same."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _line(process: subprocess.Popen[str]) -> str:
    """The next line of a subscriber, which says two and waits between them."""
    output = process.stdout
    if output is None or not select.select([output], [], [], _SILENCE_S)[0]:
        raise BenchError("a subscriber is silent")
    line = output.readline().strip()
    if not line:
        raise BenchError("a subscriber ended before it was done")
    return line


def _check(process: subprocess.Popen[str], until: float) -> None:
    if process.poll() is not None:
        raise BenchError(f"ingest ended with {process.returncode}")
    if time.monotonic() > until:
        raise BenchError("ingest does not answer")
