"""Keyed hashes on both interpreters: HMAC-SHA256 (RFC 2104), HKDF (RFC 5869), the device's sub-keys.

MicroPython has sha256 but no hmac module and no copy() of a hash; CPython uses
its own hmac, which is the same function, faster.
"""

# mypy: disable-error-code=assignment

import hashlib

try:
    from hmac import compare_digest as _compare
    from hmac import digest as _digest
except ImportError:
    _compare = _digest = None

MAC_SIZE = 32
_BLOCK = 64
_INNER = bytes(0x36 ^ value for value in range(256))
_OUTER = bytes(0x5C ^ value for value in range(256))


def _hmac_plain(key: bytes, parts: tuple) -> bytes:
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    padded = key + bytes(_BLOCK - len(key))
    inner = hashlib.sha256(bytes(_INNER[value] for value in padded))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(bytes(_OUTER[value] for value in padded))
    outer.update(inner.digest())
    return outer.digest()


def hmac_sha256(key: bytes, *parts) -> bytes:
    """32 bytes: HMAC-SHA256 of the parts, one after another, under the key."""
    if _digest is None:
        return _hmac_plain(key, parts)
    return _digest(key, parts[0] if len(parts) == 1 else b"".join(parts), "sha256")


class Hmac:
    """HMAC under one key that is used again and again: the pads are made once.

    A record on the chip then costs two hash objects and no list of 64 numbers.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK:
            key = hashlib.sha256(key).digest()
        padded = key + bytes(_BLOCK - len(key))
        self._inner = bytes(_INNER[value] for value in padded)
        self._outer = bytes(_OUTER[value] for value in padded)

    def __repr__(self) -> str:
        return "Hmac()"

    def mac(self, first, second: "bytes | bytearray | memoryview" = b"") -> bytes:
        """32 bytes over the two parts, one after the other."""
        if _digest is not None:
            # Two hashes of whole bytes: a third less than hmac.digest, which sets a key up each time.
            taken = hashlib.sha256(self._inner + first + second).digest()
            return hashlib.sha256(self._outer + taken).digest()
        inner = hashlib.sha256(self._inner)
        inner.update(first)
        inner.update(second)
        outer = hashlib.sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()


def hkdf_sha256(key: bytes, label: bytes, length: int = 32) -> bytes:
    """HKDF with an empty salt and the label as info: `length` bytes, at most 255 * 32."""
    secret = hmac_sha256(bytes(MAC_SIZE), key)
    block = b""
    output = b""
    counter = 1
    while len(output) < length:
        block = hmac_sha256(secret, block, label, bytes((counter,)))
        output += block
        counter += 1
    return output[:length]


def equal(left, right) -> bool:
    """Compare in a time that does not tell where the first difference is."""
    if _compare is not None:
        return _compare(left, right)
    if len(left) != len(right):
        return False
    difference = 0
    for index in range(len(left)):
        difference |= left[index] ^ right[index]
    return difference == 0


class DeviceKeys:
    """The sub-keys of one (device, epoch): each use has a key of its own (SECURITY 5).

    chain: the journal; up and down: messages; table: chunks of the account
    table.  That of the till's wire is made in wire/till.py; `update` comes with its link.
    """

    def __init__(self, key: bytes) -> None:
        self.chain = hkdf_sha256(key, b"klasskart/1/chain")
        self.up = hkdf_sha256(key, b"klasskart/1/up")
        self.down = hkdf_sha256(key, b"klasskart/1/down")
        self.table = hkdf_sha256(key, b"klasskart/1/table")

    def __repr__(self) -> str:
        return "DeviceKeys()"
