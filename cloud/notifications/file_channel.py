"""The channel `file`: a spool folder that a person can read, for demos and tests.

Promises: one UTF-8 text file for each message, named by the time of its event
and its id, so that the newest is the last; it appears as a whole or not at all;
the same id again is the same file and not a second message.  Codes stand in it
in clear, so cloud/worker.py opens it for a demo only.
Leaves durability beyond a killed process to channels that carry real messages.
"""

import os
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cloud.notifications.channel import SENT, ChannelDown, Delivery, Message

_ID = re.compile(r"[0-9a-z-]{1,64}")


class FileChannel:
    """Writes messages into a folder, which it makes for the owner only."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> Delivery:
        """Write the file of a message; ChannelDown when the folder does not take it."""
        if not _ID.fullmatch(message.id):
            raise ValueError("an id of a message is lower-case letters, digits and hyphens")
        happened = _local(message).strftime("%Y%m%d-%H%M%S")
        path = self._folder / f"{happened}-{message.id}.txt"
        try:
            self._write(path, _page(message))
        except OSError as error:
            raise ChannelDown(f"spool: {error.strerror}") from error
        return Delivery(path.name, SENT, parts=1, cost_minor=0)

    def _write(self, path: Path, page: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            return
        beside = self._folder / f".{path.name}.{os.getpid()}"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        # Two workers that write at once write the same bytes, so either of them may win.
        os.replace(beside, path)


def _local(message: Message) -> datetime:
    return datetime.fromtimestamp(message.happened_at, ZoneInfo(message.time_zone))


def _page(message: Message) -> str:
    happened = _local(message)
    return (
        f"time: {happened.strftime('%Y-%m-%d %H:%M:%S')} {message.time_zone}\n"
        f"to: {message.to}\n"
        f"channel: file\n"
        f"about: {message.about}\n"
        f"id: {message.id}\n"
        f"\n"
        f"{message.text}\n"
    )
