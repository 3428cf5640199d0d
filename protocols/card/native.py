"""Native commands of DESFire and NTAG 424 cards, and the talk with a card as a generator.

A talk yields a native command (code || data) and is sent the reply (status ||
data); it returns what it was for.  So the same talk runs over PC/SC in one go,
over a chip's driver one exchange in a turn of the loop, and over a list in a
test.  Promises: a reply that does not fit is Fault(CARD_ANSWER), a status that
is no success Fault(CARD_REFUSES, "card", the status in hex); what a card says
is never believed in length.

    ISO 7816-4 wrapping: 90 code 00 00 [Lc data] 00  ->  data 91 status
    A4 || name is no native command: it goes out as ISOSelectFile by the name of a DF,
    00 A4 04 00 Lc name 00  ->  90 00, which an NTAG 424 has in place of 5A.
"""

from protocols.errors import CARD_ANSWER, CARD_REFUSES, Fault

OK = 0x00
MORE = 0xAF

# Codes of commands (MF3ICD81 section 9, AN12196 section 3).
GET_VERSION = 0x60
SELECT_DF = 0xA4
SELECT_APPLICATION = 0x5A
APPLICATION_IDS = 0x6A
CREATE_APPLICATION = 0xCA
DELETE_APPLICATION = 0xDA
FORMAT = 0xFC
KEY_SETTINGS = 0x45
CHANGE_KEY_SETTINGS = 0x54
KEY_VERSION = 0x64
CHANGE_KEY = 0xC4
FILE_IDS = 0x6F
FILE_SETTINGS = 0xF5
CHANGE_FILE_SETTINGS = 0x5F
CREATE_STANDARD_FILE = 0xCD
READ_DATA = 0xBD
WRITE_DATA = 0x3D
CARD_UID = 0x51
AUTHENTICATE_AES = 0xAA
AUTHENTICATE_EV2_FIRST = 0x71
AUTHENTICATE_EV2_NEXT = 0x77
# NTAG 424 has codes of its own for the data of a file.
NTAG_READ_DATA = 0xAD
NTAG_WRITE_DATA = 0x8D

# Statuses that a caller decides by.
NO_SUCH_APPLICATION = 0xA0
NO_SUCH_KEY = 0x40
NO_SUCH_FILE = 0xF0
DUPLICATE = 0xDE
AUTHENTICATION_ERROR = 0xAE
PERMISSION_DENIED = 0x9D
INTEGRITY_ERROR = 0x1E
LENGTH_ERROR = 0x7E
ILLEGAL_COMMAND = 0x1C
PARAMETER_ERROR = 0x9E
BOUNDARY_ERROR = 0xBE
COMMAND_ABORTED = 0xCA

# What a card says to ISOSelectFile, or to a class it does not know, as the native status of the same meaning.
_ISO_STATUSES = {
    b"\x90\x00": OK,
    b"\x6a\x82": NO_SUCH_APPLICATION,
    b"\x6d\x00": ILLEGAL_COMMAND,
    b"\x6e\x00": ILLEGAL_COMMAND,
}

DATA_MAX = 55
"""Bytes of data in one frame of a command, so that every reader and every FSD takes it."""

_FRAMES_MAX = 64


def wrap(command) -> bytes:
    """The APDU of a native command."""
    body = bytes(command[1:])
    if command[0] == SELECT_DF:
        return b"\x00\xa4\x04\x00" + bytes((len(body),)) + body + b"\x00"
    head = bytes((0x90, command[0], 0x00, 0x00))
    return head + bytes((len(body),)) + body + b"\x00" if body else head + b"\x00"


def unwrap(answer) -> bytes:
    """The native reply in an answer APDU; Fault(CARD_ANSWER) when it is none."""
    status = bytes(answer[-2:])
    if status in _ISO_STATUSES:
        return bytes((_ISO_STATUSES[status],)) + bytes(answer[:-2])
    if len(status) != 2 or status[0] != 0x91:
        raise Fault(CARD_ANSWER, "card", "%d B" % len(answer))
    return bytes(answer[-1:]) + bytes(answer[:-2])


def refused(reply) -> Fault:
    """The Fault of a reply whose status is no success."""
    return Fault(CARD_REFUSES, "card", "%02x" % reply[0])


def status_of(fault: Fault) -> int:
    """The status behind a Fault(CARD_REFUSES), or -1 for any other fault."""
    return int(fault.detail, 16) if fault.code == CARD_REFUSES else -1


def take(reply, size: int = -1):
    """The data of a reply that must be a success, and of `size` bytes where that is known."""
    if not reply:
        raise Fault(CARD_ANSWER, "card", "empty")
    if reply[0] != OK:
        raise refused(reply)
    if size >= 0 and len(reply) != 1 + size:
        raise Fault(CARD_ANSWER, "card", "%d B" % len(reply))
    return bytes(reply[1:])


def transact(code: int, payload: bytes = b""):
    """A talk: one command, data in as many frames as it takes; returns all data of the reply."""
    place = DATA_MAX
    reply = yield bytes((code,)) + payload[:place]
    data = b""
    for _ in range(_FRAMES_MAX):
        if not reply or reply[0] != MORE:
            break
        data += bytes(reply[1:])
        reply = yield bytes((MORE,)) + payload[place : place + DATA_MAX]
        place += DATA_MAX
    return data + take(reply)


def run(talk, exchange):
    """Hold a whole talk now: `exchange(command)` returns the reply.  Returns what the talk returns."""
    try:
        command = next(talk)
        while True:
            command = talk.send(exchange(command))
    except StopIteration as end:
        return end.value


def hold(talk, exchange):
    """run() for a driver: itself a talk, as `exchange(apdu)` is, in steps; both sides are wrapped."""
    try:
        command = next(talk)
        while True:
            answer = yield from exchange(wrap(command))
            command = talk.send(unwrap(answer))
    except StopIteration as end:
        return end.value
