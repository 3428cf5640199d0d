"""The settings of one data folder: cloud.toml beside the database, the archive and the keys.

Every process of the cloud reads the same file.  Secrets stand in files that
only the owner can read and never in a repr, a log, argv or the environment.
Leaves what a school chooses (prices, windows, caps) to the database.
"""

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FILE_NAME = "cloud.toml"
FOLDERS = ("archive", "keys", "spool", "boards", "run", "logs")


class ConfigError(Exception):
    """The file of settings is missing or has a value that cannot be; names the file and the setting."""


@dataclass
class Config:
    """Where this cloud lives and whom it talks to.

    `database_url` empty means the SQLite file of the data folder.  `web_host`
    stays on loopback unless a person changes it; `web_url` is the https address
    in front of it, where there is one.  `demo` allows the tap panel and codes in
    a spool folder; `demo_token` opens the panel.
    """

    data_dir: Path
    database_url: str = field(default="", repr=False)
    broker_host: str = "127.0.0.1"
    broker_port: int = 1883
    broker_username: str = ""
    broker_password: str = field(default="", repr=False)
    web_host: str = "127.0.0.1"
    web_port: int = 8080
    web_url: str = ""
    demo: bool = False
    demo_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.data_dir = Path(self.data_dir)
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir / 'cloud.db'}"
        for name in ("broker_port", "web_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ConfigError(f"{name}: {getattr(self, name)} is no port")

    @property
    def path(self) -> Path:
        """The file these settings are kept in."""
        return self.data_dir / FILE_NAME

    @property
    def archive_dir(self) -> Path:
        """Raw device records, outside the database."""
        return self.data_dir / "archive"

    @property
    def keys_dir(self) -> Path:
        """Key files, readable by the owner only."""
        return self.data_dir / "keys"

    @property
    def spool_dir(self) -> Path:
        """Messages of the channel `file`."""
        return self.data_dir / "spool"

    @property
    def boards_dir(self) -> Path:
        """Folders of virtual boards."""
        return self.data_dir / "boards"

    @property
    def run_dir(self) -> Path:
        """Process ids of what runs on this folder."""
        return self.data_dir / "run"

    @property
    def logs_dir(self) -> Path:
        """Logs of the processes."""
        return self.data_dir / "logs"

    @classmethod
    def load(cls, path: Path | str) -> "Config":
        """The settings of a data folder or of its cloud.toml; ConfigError says what is wrong."""
        path = Path(path)
        if path.is_dir():
            path = path / FILE_NAME
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        known: dict[str, Any] = {each.name: each.type for each in fields(cls) if each.name != "data_dir"}
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"{path}: unknown setting {name}")
            if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
                raise ConfigError(f"{path}: {name} must be {known[name].__name__}")
        return cls(data_dir=path.parent.absolute(), **values)

    def write(self) -> Path:
        """Make the data folder and write cloud.toml as a whole, for the owner only; returns its path."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in FOLDERS:
            (self.data_dir / name).mkdir(exist_ok=True, mode=0o700)
        settings = [each.name for each in fields(self) if each.name != "data_dir"]
        lines = [f"{name} = {_literal(getattr(self, name))}\n" for name in settings]
        write_private(self.path, lines)
        return self.path


def write_private(path: Path, lines: Iterable[str]) -> None:
    """Replace a text file at once; nobody but the owner can read it at any moment."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _literal(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = "".join(_escape(character) for character in value)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return f"\\u{ord(character):04x}" if ord(character) < 32 or ord(character) == 127 else character
