"""The card's half of secure messaging: what a session takes from a command and adds to a reply.

Promises: a MAC, checksum, length or padding that is wrong is Refused with the status of the data sheet.
"""

import struct
from binascii import crc32

from protocols.card import aes, cmac

OK = 0x00
INTEGRITY, LENGTH = 0x1E, 0x7E
ZERO = bytes(16)


class Refused(Exception):
    """A status that the card answers with."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def checksum(data):
    return struct.pack("<I", crc32(data) ^ 0xFFFFFFFF)


class Ev1Session:
    def __init__(self, key):
        self.key = key
        self.iv = ZERO

    def mac(self, data):
        self.iv = cmac.cmac(self.key, data, self.iv)
        return self.iv

    def take(self, code, header, body, mode):
        """The plain data of a command: its MAC or checksum looked at."""
        if mode == 3 and body:
            if len(body) % 16:
                raise Refused(LENGTH)
            plain = aes.decrypt(self.key, self.iv, body)
            self.iv = body[-16:]
            return plain
        if mode == 1 and body:
            told, body = body[-8:], body[:-8]
            if self.mac(bytes((code,)) + header + body)[:8] != told:
                raise Refused(INTEGRITY)
            return body
        self.mac(bytes((code,)) + header + body)
        return body

    def strip(self, code, header, plain, size):
        """Data before its checksum."""
        data = plain[:size]
        if plain[size : size + 4] != checksum(bytes((code,)) + header + data) or any(plain[size + 4 :]):
            raise Refused(INTEGRITY)
        return data

    def give(self, data, mode):
        if mode == 3 and data:
            whole = data + checksum(data + b"\0")
            whole += bytes(-len(whole) % 16)
            sealed = aes.encrypt(self.key, self.iv, whole)
            self.iv = sealed[-16:]
            return sealed
        return data + self.mac(data + b"\0")[:8]


class Ev2Session:
    def __init__(self, encryption, mac, transaction, counter=0):
        self.encryption = encryption
        self.mac_key = mac
        self.transaction = transaction
        self.counter = counter

    def mac(self, first, data):
        whole = bytes((first,)) + struct.pack("<H", self.counter) + self.transaction + data
        return cmac.truncated(cmac.cmac(self.mac_key, whole))

    def iv(self, label):
        whole = label + self.transaction + struct.pack("<H", self.counter) + bytes(8)
        return aes.encrypt(self.encryption, ZERO, whole)

    def take(self, code, header, body, mode):
        if mode == 0:
            return body
        if len(body) < 8:
            raise Refused(LENGTH)
        told, body = body[-8:], body[:-8]
        if self.mac(code, header + body) != told:
            raise Refused(INTEGRITY)
        if mode == 3 and body:
            if len(body) % 16:
                raise Refused(LENGTH)
            plain = aes.decrypt(self.encryption, self.iv(b"\xa5\x5a"), body)
            end = len(plain) - 1
            while end >= 0 and not plain[end]:
                end -= 1
            if end < 0 or plain[end] != 0x80:
                raise Refused(INTEGRITY)
            return plain[:end]
        return body

    def strip(self, code, header, plain, size):
        if len(plain) != size:
            raise Refused(LENGTH)
        return plain

    def give(self, data, mode):
        self.counter += 1
        if mode == 0:
            return data
        if mode == 3 and data:
            whole = data + b"\x80" + bytes(-(len(data) + 1) % 16)
            data = aes.encrypt(self.encryption, self.iv(b"\x5a\xa5"), whole)
        return data + self.mac(OK, data)
