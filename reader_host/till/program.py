"""`klasskart till`: the page of a canteen line, its menu file and its controller, as one process.

Promises: listens on 127.0.0.1 only; one till a folder; prints the address with its launch token and nothing
else that is secret.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import click
from flask import Flask
from waitress import create_server  # type: ignore[import-untyped]

from reader_host.till import menu as menus
from reader_host.till.app import create_till
from reader_host.till.board_line import BoardLine
from reader_host.till.line import Event
from reader_host.till.menu import Menu, MenuRefused
from reader_host.till.till import Till
from reader_host.till.wire_key import BadWireKey, kept, take_in
from reader_host.till.wire_line import WireLine
from reader_host.virtual.board import BoardError, VirtualBoard

LOOPBACK = "127.0.0.1"
_THREADS = 12
_WIRE_FILE = "wire"

MakeLine = Callable[[Callable[[Event], None]], BoardLine | WireLine]
"""Makes the line; it tells what it hears."""


class TillProgram:
    """A till that runs; `address` opens its page.  Use as a context."""

    def __init__(
        self, folder: Path, make_line: MakeLine, menu: Menu, *, label: str = "line-1", port: int = 0
    ) -> None:
        self.till = Till(folder, menu)
        self.line = make_line(self.till.take)
        self.till.controller = self.line
        token = secrets.token_urlsafe(32)
        # Bound first: the door knows its port by then.
        self._server = create_server(_not_yet, host=LOOPBACK, port=port, threads=_THREADS, ident=None)
        self.port: int = self._server.effective_port
        self.app: Flask = create_till(self.till, label, port=self.port, token=token)
        self._server.application = self.app
        self.address = f"http://{LOOPBACK}:{self.port}/?token={token}"
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)

    def _serve(self) -> None:
        try:
            self._server.run()
        except OSError:
            # Its sockets were closed while it waited at them: that is how it ends.
            if not self._is_closing:
                raise

    def __enter__(self) -> Self:
        self.line.start()
        self.till.start()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_closing = True
        self.till.stop()
        # Pages that wait for news have their answer before the port goes.
        self._server.task_dispatcher.shutdown(timeout=10)
        self._server.close()
        self.line.stop()
        self._thread.join(15)


def _not_yet(_environment: Any, start: Any) -> list[bytes]:
    start("503 Service Unavailable", [])
    return []


@click.command("till", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--wire", help="Serial device to the line's controller, as /dev/ttyACM0, kept for the next start."
)
@click.option(
    "--key", "key_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key file of the wire (klasskart cloud till-key): taken in once, then it can be destroyed.",
)  # fmt: skip
@click.option(
    "--board", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Instead of a wire: the folder of a virtual board that was provisioned.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path.home() / ".klasskart-till",
    show_default="~/.klasskart-till", help="Where menu.json lies and where the till keeps its state.",
)  # fmt: skip
@click.option("--label", default="line-1", show_default=True, help="Name of the line on the page.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; any free one.")
@click.option("--cards", is_flag=True, help="Read cards from standard input, one id a line, to try a till.")
def till(
    *, wire: str | None, key_file: Path | None, board: Path | None, folder: Path, label: str, port: int,
    cards: bool,
) -> None:  # fmt: skip
    """Serve in a canteen: a touchscreen page before the line's controller.

    Works without the cloud. Nothing about a person's money reaches the page.
    """
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(_alone(folder))
        try:
            menu = menus.read(folder)
            make_line = at_board(board) if board is not None else at_wire(folder, wire, key_file)
            running = stack.enter_context(TillProgram(folder, make_line, menu, label=label, port=port))
        except BadWireKey as error:
            raise click.ClickException(str(error)) from error
        except MenuRefused as error:
            raise click.ClickException(f"the menu was not taken:\n{error}") from error
        except BoardError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"port {port}: {error.strerror}") from error
        click.echo(f"Till: {running.address}")
        # A service is stopped so; its threads end as they do with Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if cards and isinstance(running.line, BoardLine):
                for text in sys.stdin:
                    running.line.hold(text.strip())
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("Stopped. What was under way is asked of the controller at the next start.")


def at_board(board: Path) -> MakeLine:
    """The line that a virtual board is."""
    return lambda tell: BoardLine(VirtualBoard(board), tell)


def at_wire(folder: Path, wire: str | None, key_file: Path | None) -> MakeLine:
    """The line at a serial device; without one, or without a key file, that of the start before."""
    remembered = folder / _WIRE_FILE
    if wire is None and remembered.exists():
        wire = remembered.read_text(encoding="utf-8").strip()
    if not wire:
        raise click.UsageError("where is the line? Give its serial device with --wire, or a --board")
    key = take_in(folder, key_file) if key_file is not None else kept(folder)
    if key is None:
        raise click.UsageError("no key of the wire yet: give its key file once with --key")
    remembered.write_text(wire + "\n", encoding="utf-8")
    return lambda tell: WireLine(wire, key, tell)


def _alone(folder: Path) -> Any:
    """Holds the folder for as long as this process lives."""
    handle = os.open(folder / "till.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    file = os.fdopen(handle, "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise click.ClickException(f"another till runs on {folder}") from error
    return file
