"""Secure messaging with a card: what a session adds to a command and takes from a reply.

Three sessions with the same two functions.  `protect(code, header, data, mode)`
gives the payload that goes out behind the code; `open(reply_data, mode, size)`
gives the plain data of a reply that was a success.  Modes are those of a file:
PLAIN, MAC, FULL.  Promises: a reply whose MAC or checksum is wrong is
Fault(CARD_NOT_GENUINE) and ends the session; nothing of it is used.

EV1 (MF3ICD81): one chain of CMACs through the whole session, checksums inside
the ciphertext.  EV2 (AN12196, AN12343): command counter and transaction id in
each MAC and IV.
"""

import struct
from binascii import crc32

from protocols.card import aes, cmac
from protocols.errors import CARD_NOT_GENUINE, Fault
from protocols.mac import equal

PLAIN = 0x00
MAC = 0x01
FULL = 0x03

_EV1_MAC = 8
_CRC = 4
# The rest of a key's byte says which kind of key it is.
_KEY_NUMBER = 0x3F


def difference(one, other) -> bytes:
    """Two strings of one length, bit by bit."""
    return bytes(one[place] ^ other[place] for place in range(len(one)))


def jam_crc(data) -> bytes:
    """4 bytes, little-endian: CRC-32 without the final inversion, as DESFire counts it."""
    return struct.pack("<I", crc32(bytes(data)) ^ 0xFFFFFFFF)


def padded(data) -> bytes:
    """80 00 ... to whole blocks; a whole block more where the data fills its last (ISO 9797-1 method 2)."""
    return bytes(data) + b"\x80" + bytes(-(len(data) + 1) % aes.BLOCK)


def unpadded(data) -> bytes:
    """What stands before the last 80; Fault(CARD_NOT_GENUINE) where there is none in the last block."""
    end = len(data) - 1
    while end >= 0 and not data[end]:
        end -= 1
    if end < 0 or data[end] != 0x80 or len(data) - end > aes.BLOCK:
        raise Fault(CARD_NOT_GENUINE, "padding")
    return bytes(data[:end])


def _plain_block(data) -> None:
    if not data or len(data) % aes.BLOCK:
        raise Fault(CARD_NOT_GENUINE, "length", "%d B" % len(data))


class Open:
    """No session: everything goes as it is."""

    number = -1

    def protect(self, code: int, header: bytes, data: bytes, mode: int) -> bytes:
        """Header and data."""
        return header + data

    def open(self, reply: bytes, mode: int, size: int = -1) -> bytes:
        """The reply's data."""
        return bytes(reply)


class Ev1:
    """A session after AuthenticateAES; `key`: its session key of 16 bytes, `number`: of the card's key."""

    def __init__(self, key: bytes, number: int = 0) -> None:
        self._key = key
        self.number = number
        self._iv = aes.ZEROS

    def __repr__(self) -> str:
        return "Ev1()"

    def _mac(self, data) -> bytes:
        self._iv = cmac.cmac(self._key, data, self._iv)
        return self._iv

    def _seal(self, plain: bytes) -> bytes:
        """Encrypt data that has its checksums already, zeros behind it to whole blocks."""
        whole = plain + bytes(-len(plain) % aes.BLOCK)
        sealed = aes.encrypt(self._key, self._iv, whole)
        self._iv = sealed[-aes.BLOCK :]
        return sealed

    def new_key(self, code: int, number: int, new: bytes, version: int, old: bytes) -> bytes:
        """The payload of ChangeKey; another key than the session's goes as a difference from the old one."""
        head = bytes((code, number))
        if number & _KEY_NUMBER == self.number:
            body = new + bytes((version,))
            return head[1:] + self._seal(body + jam_crc(head + body))
        body = difference(new, old) + bytes((version,))
        return head[1:] + self._seal(body + jam_crc(head + body) + jam_crc(new))

    def protect(self, code: int, header: bytes, data: bytes, mode: int) -> bytes:
        """The payload: data encrypted with its checksum, or with a MAC behind it, or only in the chain."""
        whole = bytes((code,)) + header + data
        if mode == FULL and data:
            return header + self._seal(data + jam_crc(whole))
        mac = self._mac(whole)
        return header + data + (mac[:_EV1_MAC] if mode == MAC and data else b"")

    def open(self, reply: bytes, mode: int, size: int = -1) -> bytes:
        """The data of a reply; a reply of an enciphered file has a checksum inside, each other one a MAC."""
        if mode == FULL and reply:
            _plain_block(reply)
            plain = aes.decrypt(self._key, self._iv, reply)
            self._iv = bytes(reply[-aes.BLOCK :])
            return self._checked(plain, size)
        data, told = bytes(reply[:-_EV1_MAC]), reply[-_EV1_MAC:]
        if len(reply) < _EV1_MAC or not equal(self._mac(data + b"\x00")[:_EV1_MAC], bytes(told)):
            raise Fault(CARD_NOT_GENUINE, "mac")
        return data

    def _checked(self, plain: bytes, size: int) -> bytes:
        """Data before its checksum.  Where its length is not known the checksum and the zeros tell it."""
        sizes = (size,) if size >= 0 else range(len(plain) - _CRC, max(-1, len(plain) - _CRC - aes.BLOCK), -1)
        for length in sizes:
            rest = plain[length + _CRC :]
            if len(plain) >= length + _CRC and len(rest) < aes.BLOCK and not any(rest):
                if plain[length : length + _CRC] == jam_crc(plain[:length] + b"\x00"):
                    return plain[:length]
        raise Fault(CARD_NOT_GENUINE, "crc")


class Ev2:
    """A session after AuthenticateEV2: keys of 16 bytes, `transaction` 4 bytes, a counter of commands."""

    def __init__(
        self, encryption: bytes, mac: bytes, transaction: bytes, number: int = 0, counter: int = 0
    ) -> None:
        self._encryption = encryption
        self._mac_key = mac
        self.transaction = transaction
        self.number = number
        self.counter = counter

    def __repr__(self) -> str:
        return "Ev2()"

    def _iv(self, label: bytes) -> bytes:
        whole = label + self.transaction + struct.pack("<H", self.counter) + bytes(8)
        return aes.encrypt_block(self._encryption, whole)

    def _mac(self, first: int, data: bytes) -> bytes:
        """MACt over code or status, counter, transaction id and data."""
        head = bytes((first,)) + struct.pack("<H", self.counter) + self.transaction
        return cmac.truncated(cmac.cmac(self._mac_key, head + data))

    def protect(self, code: int, header: bytes, data: bytes, mode: int) -> bytes:
        """The payload: data encrypted and MACed, MACed, or as it is."""
        if mode == PLAIN:
            return header + data
        if mode == FULL and data:
            data = aes.encrypt(self._encryption, self._iv(b"\xa5\x5a"), padded(data))
        return header + data + self._mac(code, header + data)

    def new_key(self, code: int, number: int, new: bytes, version: int, old: bytes) -> bytes:
        """The payload of ChangeKey; another key than the session's goes as a difference from the old one."""
        if number & _KEY_NUMBER == self.number:
            body = new + bytes((version,))
        else:
            body = difference(new, old) + bytes((version,)) + jam_crc(new)
        return self.protect(code, bytes((number,)), body, FULL)

    def open(self, reply: bytes, mode: int, size: int = -1) -> bytes:
        """The data of a reply; each reply moves the counter, whatever its mode."""
        if self.counter >= 0xFFFF:
            raise Fault(CARD_NOT_GENUINE, "counter")
        self.counter += 1
        if mode == PLAIN:
            return bytes(reply)
        data, told = bytes(reply[:-8]), reply[-8:]
        if len(reply) < 8 or not equal(self._mac(0x00, data), bytes(told)):
            raise Fault(CARD_NOT_GENUINE, "mac")
        if mode == FULL and data:
            _plain_block(data)
            return unpadded(aes.decrypt(self._encryption, self._iv(b"\x5a\xa5"), data))
        return data
