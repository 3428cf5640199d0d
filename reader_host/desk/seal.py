"""What the desk writes down about keys, cards and people: sealed, and readable by its owner only.

Promises: AES-GCM under a random key of this folder, bound to what the sealed thing is, so that one cannot be
put in the place of another; files are 0600 in a folder of 0700 and replaced as a whole.  The key lies in the
system's key ring where the package `keyring` and a ring are there, else in a file of 0600 beside the rest:
then whoever can read the whole folder can read it all, and only a copy without that file is closed.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_FILE = "seal.key"
_KEY_SIZE = 32
_NONCE = 12
_SERVICE = "klasskart desk"


class SealBroken(Exception):
    """A sealed thing was changed, belongs elsewhere, or its key is gone; names the thing."""


class Seal:
    """Closes and opens bytes for one folder of the desk."""

    def __init__(self, folder: Path, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self._random_bytes = random_bytes
        self._folder = folder
        self._cipher = AESGCM(self._key())

    def __repr__(self) -> str:
        return "Seal()"

    def _key(self) -> bytes:
        ring, name = _ring(), str(self._folder.resolve())
        path = self._folder / _KEY_FILE
        if path.exists():
            return path.read_bytes()
        kept = ring.get_password(_SERVICE, name) if ring else None
        if kept:
            return base64.b64decode(kept)
        made = self._random_bytes(_KEY_SIZE)
        if ring:
            ring.set_password(_SERVICE, name, base64.b64encode(made).decode())
        else:
            write_private(path, made)
        return made

    def close(self, what: str, plain: bytes) -> bytes:
        """Sealed bytes, different at each call."""
        nonce = self._random_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, what.encode())

    def open(self, what: str, sealed: bytes) -> bytes:
        """What close() was given, or SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], what.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(what) from error

    def write(self, name: str, plain: bytes) -> None:
        """Replace the file `name` of the folder by a sealed one."""
        write_private(self._folder / name, self.close(name, plain))

    def read(self, name: str) -> bytes | None:
        """What the sealed file holds; None when there is none; SealBroken."""
        path = self._folder / name
        return self.open(name, path.read_bytes()) if path.exists() else None

    def forget(self, name: str) -> None:
        """Remove the file."""
        (self._folder / name).unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file at once; nobody but the owner can read it at any moment."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _ring() -> Any:
    """The system's key ring, or None where the package or a ring behind it is missing."""
    try:
        import keyring
        from keyring.backends import fail
    except ImportError:
        return None
    return None if isinstance(keyring.get_keyring(), fail.Keyring) else keyring
