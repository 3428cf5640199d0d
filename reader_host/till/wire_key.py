"""The key of the wire to a line: taken in once from the cloud's file, kept where only this user reads it.

Promises: a file that is none is refused whole and the key of before stays; the key is in no text.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

FILE = "wire.key"
_SIZE = 32


class BadWireKey(Exception):
    """A file that is no till's key file."""


def take_in(folder: Path, file: Path) -> bytes:
    """Keep the key of a file (`klasskart cloud till-key`) for the next starts; BadWireKey."""
    try:
        key = bytes.fromhex(json.loads(file.read_text(encoding="utf-8"))["pairing_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadWireKey(f"{file} is no key file of a till") from error
    if len(key) != _SIZE:
        raise BadWireKey(f"{file} is no key file of a till")
    beside = folder / f"{FILE}.new"
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept_file:
        kept_file.write(key)
        kept_file.flush()
        os.fsync(kept_file.fileno())
    beside.replace(folder / FILE)
    return key


def kept(folder: Path) -> bytes | None:
    """The key of before, or None."""
    try:
        key = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == _SIZE else None
