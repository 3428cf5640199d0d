"""Real MQTT connections for tests: a device's side, and the ingest process itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from cloud.config import Config
from cloud.ingest.service import Incoming, Outgoing
from protocols.wire import topics
from tests.cloud.ingest.peer import Peer
from tests.fixtures.components import ROOT, end


def wait_for(is_true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for it, at most so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_true():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen")


class Link:
    """One MQTT connection of a device; `got` holds what came, in order."""

    def __init__(self, port: int, name: str, password: str = "", *, subscribe: tuple[str, ...] = ()) -> None:
        self.got: list[Outgoing] = []
        self.connected = False
        self.refused = ""
        self._subscribe = [(topic, 1) for topic in subscribe]
        self._mqtt = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        if password:
            self._mqtt.username_pw_set(name, password)
        self._mqtt.reconnect_delay_set(1, 1)
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_subscribe = self._on_subscribe
        self._mqtt.on_message = lambda _c, _d, m: self.got.append(Outgoing(m.topic, bytes(m.payload)))
        self._mqtt.connect_async("127.0.0.1", port)
        self._mqtt.loop_start()

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
        elif self._subscribe:
            client.subscribe(self._subscribe)
        else:
            self.connected = True

    def _on_subscribe(self, *_: Any) -> None:
        self.connected = True

    def publish(self, *messages: Incoming, retain: bool = False) -> None:
        """Publish with QoS 1."""
        for topic, payload in messages:
            self._mqtt.publish(topic, payload, qos=1, retain=retain)

    def close(self) -> None:
        """Disconnect."""
        self._mqtt.disconnect()
        self._mqtt.loop_stop()


def link_of(peer: Peer, port: int, password: str = "") -> Link:
    """The connection of a device, with its own subscriptions."""
    name = f"{peer.device:08x}"
    leaves = (peer.topic(topics.DOWN), peer.topic(topics.TABLE))
    link = Link(port, name, password, subscribe=leaves)
    wait_for(lambda: link.connected, "the connection of a device")
    link.publish(peer.state(True), retain=True)
    return link


class IngestProcess:
    """`klasskart cloud ingest` on a data folder."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.log = config.logs_dir / "ingest.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is connected."""
        before = self.connections()
        command = [
            sys.executable,
            "-m",
            "scripts.klasskart",
            "cloud",
            "ingest",
            "--config",
            str(self._config.path),
        ]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
        wait_for(lambda: self.connections() > before, "the connection of ingest")

    def connections(self) -> int:
        """How often it has connected to the broker."""
        return sum(event.get("event") == "connected" for event in self.events())

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self._process is None:
            return 0
        end(self._process)
        code = self._process.returncode
        self._process = None
        return code


def config_of(folder: Path, database_url: str, port: int, username: str = "", password: str = "") -> Config:
    """Settings of a data folder for these tests."""
    config = Config(
        folder, database_url, broker_port=port, broker_username=username, broker_password=password
    )
    config.write()
    return config
