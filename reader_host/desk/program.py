"""`klasskart desk`: the page, the reader and the way to the cloud, as one process over one folder.

Promises: listens on 127.0.0.1 only; one desk a folder; prints the address with its launch token and nothing
else that is secret; keys and the token come from files, never from arguments or the environment.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import click
from flask import Flask
from waitress import create_server  # type: ignore[import-untyped]

from reader_host.desk import keys as desk_keys
from reader_host.desk.app import Parts, create_desk
from reader_host.desk.bench import Bench
from reader_host.desk.keys import BadKeys, DeskKeys
from reader_host.desk.seal import Seal, SealBroken, write_private
from reader_host.desk.sender import BadAddress, Cloud, Sender
from reader_host.desk.store import Store
from reader_host.desk.work import Work

LOOPBACK = "127.0.0.1"
_ADDRESS_FILE = "cloud"
_THREADS = 8


def _now() -> int:
    return int(time.time())


class Desk:
    """A desk that runs; `address` opens its page.  Use as a context."""

    def __init__(
        self,
        folder: Path,
        keys: DeskKeys,
        seal: Seal,
        *,
        cloud_url: str = "",
        reader: str = "",
        port: int = 0,
        roster_days: int = 7,
        now: Callable[[], int] = _now,
    ) -> None:
        self._store = Store(folder, seal)
        cloud = Cloud(cloud_url, keys.token) if cloud_url else None
        self.sender = Sender(cloud, self._store, seal, now=now, roster_days=roster_days)
        work = Work(keys, self._store, now=now, random_bytes=os.urandom, roster=self.sender.roster)
        self.bench = Bench(work, self._store, reader)
        self.bench.told = self.sender.wake
        self.sender.changed = self.bench.show_again
        token = secrets.token_urlsafe(32)
        # Bound first: the door knows its port by then.
        self._server = create_server(_not_yet, host=LOOPBACK, port=port, threads=_THREADS, ident=None)
        self.port: int = self._server.effective_port
        parts = Parts(self.bench, work, self._store, self.sender, now, self.port, token)
        self.app: Flask = create_desk(parts)
        self._server.application = self.app
        self.address = f"http://{LOOPBACK}:{self.port}/?token={token}"
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (
                ("reader", self.bench.run), ("cloud", self.sender.run), ("page", self._server.run),
            )
        ]  # fmt: skip

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.bench.stop()
        self.sender.stop()
        self._server.close()
        for thread in self._threads:
            thread.join(15)
        self._store.close()

    def wait(self) -> None:
        """Until the reader's thread ends, which it does only when something is badly wrong."""
        while self._threads[0].is_alive():
            self._threads[0].join(1)


def _not_yet(_environment: Any, start: Any) -> list[bytes]:
    start("503 Service Unavailable", [])
    return []


@click.command("desk", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cloud", "cloud_url", help="Address of the cloud, kept for the next start: https://…")
@click.option("--reader", default="", help="Part of the reader's name, where there are several.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path.home() / ".klasskart-desk",
    show_default="~/.klasskart-desk", help="Where queue, keys and the list of pupils are kept.",
)  # fmt: skip
@click.option(
    "--keys", "key_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key file of this desk from the cloud: taken in once, then it can be destroyed.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; any free one.")
@click.option(
    "--roster-days", type=click.IntRange(1, 60), default=7, show_default=True,
    help="Days after which an old list of pupils is removed.",
)  # fmt: skip
def desk(
    *, cloud_url: str | None, reader: str, folder: Path, key_file: Path | None, port: int, roster_days: int
) -> None:
    """Give, look at, replace and wipe cards on a PC/SC reader, with a page on this computer.

    Works without the cloud: what was done waits in FOLDER and is sent when the cloud is back. Needs pyscard
    (scripts/setup --desk) and a running pcscd.
    """
    with ExitStack() as stack:
        seal = Seal(folder)
        stack.enter_context(_alone(folder))
        try:
            keys = desk_keys.take_in(seal, key_file) if key_file else desk_keys.kept(seal)
            if keys is None:
                raise click.ClickException(
                    "no keys yet: give the key file of this desk once with --keys FILE"
                )
            url = _remembered(folder, cloud_url)
            running = stack.enter_context(
                Desk(folder, keys, seal, cloud_url=url, reader=reader, port=port, roster_days=roster_days)
            )
        except (BadKeys, BadAddress) as error:
            raise click.ClickException(str(error)) from error
        except SealBroken as error:
            raise click.ClickException(f"{error} in {folder} cannot be opened: its key is gone") from error
        except OSError as error:
            raise click.ClickException(f"port {port}: {error.strerror}") from error
        click.echo(f"Card desk: {running.address}")
        if not url:
            click.echo("No cloud is named (--cloud URL): everything waits in the queue.")
        # A service is stopped so; its threads end as they do with Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            running.wait()
        except KeyboardInterrupt:
            click.echo("Stopped. What waits for the cloud is kept.")


def _remembered(folder: Path, url: str | None) -> str:
    path = folder / _ADDRESS_FILE
    if url is not None:
        Cloud(url, "")
        write_private(path, url.encode())
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _alone(folder: Path) -> Any:
    """Holds the folder for as long as this process lives."""
    handle = os.open(folder / "desk.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    file = os.fdopen(handle, "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise click.ClickException(f"another desk runs on {folder}") from error
    return file
