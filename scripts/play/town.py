"""Everything that runs in a play: broker, ingest, worker, web and four boards, and the hands at the boards.

It promises that the cloud's processes are started when the broker listens, that all of them are watched by
one supervisor, and that `stop` leaves none. Which broker it is makes no difference to anything but its own
child.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cloud import db
from cloud.config import Config
from cloud.devices import service as devices
from scripts.play import broker
from scripts.play.boards import BoardChild
from scripts.play.folder import INGEST_USER, DataFolder, World
from scripts.play.hand import Hand
from scripts.play.ports import LOOPBACK
from scripts.play.supervisor import ProcessChild, Supervisor

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED, MOSQUITTO = "embedded", "mosquitto"
START_S = 20.0
_CLOUD = ("ingest", "worker", "serve")
_NAMES = {"serve": "web"}  # the pid file and the log are named by what a person calls it


class StartFailed(Exception):
    """A part did not come up; the text names it and its log."""


class Town:
    """The processes of one play over one data folder."""

    def __init__(
        self,
        folder: DataFolder,
        config: Config,
        world: World,
        *,
        broker_kind: str,
        say: Callable[[str], None],
    ):
        self.world = world
        self.config = config
        self._folder = folder
        self._broker_kind = broker_kind
        self.supervisor = Supervisor(config.run_dir, say=say)
        self.boards = {
            device.label: BoardChild(device.label, folder.board(device.label)) for device in world.devices
        }

    def hands(
        self,
        ticks_ms: Callable[[int], int],
        *,
        needs_line: bool,
        stopped: threading.Event,
        may_tap: Callable[[str], bool] = lambda label: True,
    ) -> dict[str, Hand]:
        """A hand for each board; they let go when `stopped` is set. `may_tap` is asked before each card."""
        return {
            label: Hand(
                label,
                board,
                ticks_ms=ticks_ms,
                may_tap=partial(may_tap, label),
                needs_line=needs_line,
                stopped=stopped,
            )
            for label, board in self.boards.items()
        }

    def start(self) -> None:
        """Start everything, the broker first. StartFailed names what does not come."""
        self.supervisor.start(self._child("broker", self._broker_command()))
        self._wait_for_port("broker", self.config.broker_port)
        for board in self.boards.values():
            self.supervisor.start(board)
        for command in _CLOUD:
            name = _NAMES.get(command, command)
            klasskart = [sys.executable, str(ROOT / "scripts" / "klasskart.py")]
            self.supervisor.start(
                self._child(name, [*klasskart, "cloud", command, "--config", str(self.config.path)])
            )

    def wait_for_web(self) -> None:
        """Wait until pages are served."""
        self._wait_for_port("web", self.config.web_port)

    def stop(self) -> None:
        """Stop every process."""
        self.supervisor.stop()

    def _child(self, name: str, command: list[str]) -> ProcessChild:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        return ProcessChild(name, command, log=self.config.logs_dir / f"{name}.log", environment=environment)

    def _broker_command(self) -> list[str]:
        folder = self._folder.path / "broker"
        if self._broker_kind == EMBEDDED:
            return broker.embedded(folder, self.config.broker_port)
        engine = db.engine(self.config.database_url)
        with db.reading(engine) as conn:
            path = devices.broker_files(
                conn,
                folder,
                username=INGEST_USER,
                password=self.config.broker_password,
                port=self.config.broker_port,
                host=LOOPBACK,
            )
        engine.dispose()
        return broker.mosquitto(path)

    def _wait_for_port(self, name: str, port: int) -> None:
        """Wait until something listens, looking after the children meanwhile."""
        waits = threading.Event()
        for _ in range(int(START_S / 0.02)):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                if probe.connect_ex((LOOPBACK, port)) == 0:
                    return
            self.supervisor.tick()
            waits.wait(0.02)
        raise StartFailed(f"{name} does not answer on port {port}: see {self.config.logs_dir / name}.log")
