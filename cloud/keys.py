"""The vault: everything secret that the cloud keeps, under one key file outside the database.

Promises: a sealed value opens only with this folder's key file and only
unchanged (AES-256-GCM); keys are made once, written for the owner only, never
shown in a repr.  Leaves to others: backup of the folder (apart from the
database), hardware modules, versions and their rotation (cloud/cards/masters.py).
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.ids import hex8
from protocols.mac import hkdf_sha256, hmac_sha256

KEY_SIZE = 32
_KEK_NAME = "kek"
_SEALED = ("reference-", "card-")
_VERSION = b"\x01"
_NONCE_SIZE = 12


class VaultError(Exception):
    """A key is missing, or a sealed value is not what this vault sealed.  Carries no secret."""


class Vault:
    """Seals, opens and keyed hashes under the key-encryption key of one folder.

    The key is made in an empty folder.  A folder with other keys but without
    it is a broken restore: VaultError, never a new key.
    """

    def __init__(self, keys_dir: Path | str) -> None:
        self._folder = Path(keys_dir)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = self._key_encryption_key()
        self._seal = AESGCM(hkdf_sha256(key, b"klasskart/cloud/seal"))
        self._mac_key = hkdf_sha256(key, b"klasskart/cloud/mac")
        self._reference_keys: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return "Vault()"

    @property
    def folder(self) -> Path:
        """Where the key files are: backed up apart from the database."""
        return self._folder

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        """Encrypt for storage elsewhere; `context` must be given again to open."""
        nonce = os.urandom(_NONCE_SIZE)
        return _VERSION + nonce + self._seal.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """What was sealed, or VaultError when it was changed or sealed elsewhere."""
        if sealed[:1] != _VERSION:
            raise VaultError("sealed value of an unknown version")
        nonce, body = sealed[1 : 1 + _NONCE_SIZE], sealed[1 + _NONCE_SIZE :]
        try:
            return self._seal.decrypt(nonce, body, context)
        except (InvalidTag, ValueError) as error:
            raise VaultError("sealed value does not open") from error

    def mac(self, label: str, data: bytes) -> bytes:
        """32 bytes: a keyed hash of the data; each label is a key of its own."""
        return hmac_sha256(hkdf_sha256(self._mac_key, label.encode()), data)

    def reference_key(self, school_id: int) -> bytes:
        """K_ref of a school, which names its cards; made at the first use, kept sealed."""
        key = self._reference_keys.get(school_id)
        if key is None:
            context = f"reference/{hex8(school_id)}".encode()
            key = self.kept_key(f"reference-{hex8(school_id)}", context, KEY_SIZE)
            self._reference_keys[school_id] = key
        return key

    def kept_key(self, name: str, context: bytes, size: int) -> bytes:
        """The random key in the file `name`, sealed under `context`; made at the first use."""
        path = self._folder / name
        sealed = _read_or_create(path, lambda: self.seal(os.urandom(size), context))
        return self.open(sealed, context)

    def mark(self, name: str) -> None:
        """Leave an empty file `name` for good: a fact about a key that a restored database must not lose."""
        _read_or_create(self._folder / name, lambda: b"")

    def names(self, prefix: str) -> list[str]:
        """The names of the files that begin so, in the order of the alphabet."""
        return sorted(each.name for each in self._folder.iterdir() if each.name.startswith(prefix))

    def _key_encryption_key(self) -> bytes:
        path = self._folder / _KEK_NAME
        others = any(each.name.startswith(_SEALED) for each in self._folder.iterdir())
        if others and not path.exists():
            raise VaultError(f"{path} is missing though other keys are there: restore it from its backup")
        key = _read_or_create(path, lambda: os.urandom(KEY_SIZE))
        if len(key) != KEY_SIZE:
            raise VaultError(f"{path} is not a key of {KEY_SIZE} bytes")
        return key


def _read_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The bytes of a key file; two processes that make it at once agree on one."""
    if path.exists():
        return path.read_bytes()
    beside = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        pass  # another process was first, its key counts
    finally:
        os.unlink(beside)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path.read_bytes()
