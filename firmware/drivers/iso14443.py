"""ISO 14443-3 type A: how a card in the field is found and selected, whatever chip drives the antenna.

Promises: a serial number of 4, 7 or 10 bytes is whole or is not told at all (cascade tags in place, every
check byte and checksum right); two cards are never taken for one by the bits of their numbers.  Leaves to the
chip's driver how a frame gets into the air: `air` is such a driver, see Air.
"""

from firmware.hal.chip import const

# How an exchange with the field ended.
ANSWERED = 1
SILENT = 2
DAMAGED = 3
COLLIDED = 4

REQUEST = 0x26
WAKE_UP = 0x52
HALT = b"\x50\x00"
SPEAKS_ISO_DEP = 0x20
"""Bit of SAK: the card answers to RATS (ISO 14443-3, table 9)."""

_LEVELS = b"\x93\x95\x97"
_ALL_BITS = const(0x70)
_NO_BITS = const(0x20)
_CASCADE_TAG = const(0x88)
_INCOMPLETE = const(0x04)
# A card answers within 91 us; a slow one gets a millisecond.
_WAIT_TICKS = const(40)


class Air:
    """What a chip's driver offers to the talks of this file and of isodep.py.

    `reply`: the bytes of the newest answer, `length` of them, without checksum; a tick is 25 us.
    """

    reply = bytearray(0)
    length = 0

    def exchange(self, frame, has_checksum: bool, wait_ticks: int):
        """A talk that yields milliseconds to wait: ANSWERED, SILENT, DAMAGED or COLLIDED.

        `has_checksum`: CRC_A is sent behind the frame, and must be behind the answer, where it is taken off.
        """
        raise NotImplementedError


def checksum(data, count: int) -> int:
    """CRC_A of the first bytes of a buffer (ISO 14443-3, annex B), low byte first on air."""
    made = 0x6363
    for place in range(count):
        low = (data[place] ^ made) & 0xFF
        low ^= low << 4 & 0xFF
        made = made >> 8 ^ low << 8 ^ low << 3 ^ low >> 4
    return made & 0xFFFF


def select(air):
    """A talk with a card that has answered WUPA: (how it ended, select frames, serial number, SAK).

    The select frames, one of 7 bytes for each cascade level, wake this very card alone later.
    """
    frames, uid = [], b""
    for level in _LEVELS:
        status = yield from air.exchange(bytes((level, _NO_BITS)), False, _WAIT_TICKS)
        if status != ANSWERED:
            return status, frames, uid, 0
        part = bytes(air.reply[: air.length])
        if len(part) != 5 or part[0] ^ part[1] ^ part[2] ^ part[3] != part[4]:
            return DAMAGED, frames, uid, 0
        frames.append(bytes((level, _ALL_BITS)) + part)
        status = yield from air.exchange(frames[-1], True, _WAIT_TICKS)
        if status != ANSWERED:
            return status, frames, uid, 0
        acknowledged = air.reply[0]
        if air.length != 1 or (part[0] == _CASCADE_TAG) != bool(acknowledged & _INCOMPLETE):
            return DAMAGED, frames, uid, 0
        if part[0] != _CASCADE_TAG:
            return ANSWERED, frames, uid + part[:4], acknowledged
        uid += part[1:4]
    # A third level that is not the last: there is no such number.
    return DAMAGED, frames, uid, 0
