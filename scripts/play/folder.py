"""The data folder of a play: the cloud's own, the boards' folders, and what the world has in its pockets.

It promises that one play at a time uses a folder, that `fresh` removes only a folder that is ours, and that
a second start finds the same school, keys and boards though the ports may have moved.
"""

import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from cloud.config import FILE_NAME, Config, ConfigError, write_private

WORLD = "world.json"
DEFAULT = Path("~/.local/share/klasskart/demo")
INGEST_USER = "ingest"


class FolderRefused(Exception):
    """The folder cannot be used; the text says why and what helps."""


@dataclass(frozen=True)
class Device:
    """One board of the play: its label, `gate` or `canteen`, and how the cloud knows it."""

    label: str
    kind: str
    number: str
    epoch: int


@dataclass(frozen=True)
class World:
    """What is outside the product: which boards stand where, and which card is in which pupil's pocket.

    `cards`: the account's eight hex digits to the canonical credential; a demo and a play need them to tap,
    the product itself keeps a keyed hash only. `goods`: number, Russian and English name of what the menu
    sells.
    """

    school_id: int
    time_zone: str
    currency: str
    devices: list[Device]
    cards: dict[str, str] = field(repr=False)
    menu: str = ""
    goods: list[tuple[int, str, str]] = field(default_factory=list)


class DataFolder:
    """One folder, held by one play until `close`."""

    def __init__(self, path: Path):
        self.path = path.expanduser().absolute()
        self._lock: TextIO | None = None

    @property
    def is_made(self) -> bool:
        """Whether a school stands in it already."""
        return (self.path / WORLD).exists()

    def take(self, *, fresh: bool) -> None:
        """Hold the folder, emptied when `fresh`. FolderRefused when another play has it or it is not ours."""
        if self.path.exists() and not self.path.is_dir():
            raise FolderRefused(f"{self.path} is not a folder")
        known = self.path.exists() and any(self.path.iterdir())
        if known and not (self.path / FILE_NAME).exists():
            raise FolderRefused(f"{self.path} has files that are not a demo's: choose another --data")
        (self.path / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hold()
        if fresh or not self.is_made:
            self._empty()

    def _hold(self) -> None:
        lock = (self.path / "run" / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise FolderRefused(
                f"{self.path} is in use by process {holder}: stop it, or choose another --data"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _empty(self) -> None:
        """Remove everything but the lock; a folder that was only half made is made again from the start."""
        for each in self.path.iterdir():
            if each.name == "run":
                for file in each.iterdir():
                    if file.name != "lock":
                        file.unlink()
            elif each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()

    def close(self) -> None:
        """Let the folder go."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def configure(self, *, broker_port: int, web_port: int) -> Config:
        """Write the cloud's settings for these ports; tokens and passwords stay what they were."""
        try:
            old = Config.load(self.path)
            token, password = old.demo_token, old.broker_password
        except ConfigError:
            token, password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        config = Config(
            data_dir=self.path,
            broker_port=broker_port,
            broker_username=INGEST_USER,
            broker_password=password,
            web_port=web_port,
            demo=True,
            demo_token=token,
        )
        config.write()
        return config

    def write_world(self, world: World) -> None:
        """Keep the world beside the cloud's data, for its owner only."""
        write_private(self.path / WORLD, [json.dumps(asdict(world), ensure_ascii=False, indent=1)])

    def read_world(self) -> World:
        """The world as it was written."""
        raw: dict[str, Any] = json.loads((self.path / WORLD).read_text(encoding="utf-8"))
        raw["devices"] = [Device(**device) for device in raw["devices"]]
        return World(**raw)

    def board(self, label: str) -> Path:
        """The folder of one board."""
        return self.path / "boards" / label

    def move_boards(self, world: World, broker_port: int) -> None:
        """Tell the boards where the broker listens now; a real board is told by the field engineer."""
        for device in world.devices:
            path = self.board(device.label) / "provision.json"
            provision = json.loads(path.read_text(encoding="utf-8"))
            if provision["broker_port"] != broker_port:
                provision["broker_port"] = broker_port
                write_private(path, [json.dumps(provision)])
