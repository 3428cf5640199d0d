"""DESFire EV1, EV2 and EV3: the commands that a school's card needs, as talks (see native.py).

Promises: every command goes through the session it is handed, so that its MAC
is counted; sizes and numbers are checked before anything is sent.  Leaves which
keys and files a card has to application.py.  Source: MF3ICD81 section 9.

An application id is 3 bytes as people write it, 4B4B01; on air it goes turned round.
"""

import struct

from protocols.card import native
from protocols.card.messaging import FULL, MAC
from protocols.errors import CARD_ANSWER, FIELD_RANGE, Fault
from protocols.fields import Layout

CARD_LEVEL = bytes(3)
AES_KEYS = 0x80
KEYS_MAX = 14
FREE = 0x0E
"""The access right that needs no key."""
NEVER = 0x0F

_VERSION_PART = 7
_FILE_SETTINGS = Layout("file settings", "type u8, mode u8, access u16")


class Version:
    """What GetVersion says: `vendor` 4 is NXP, `major` of the hardware, `uid` 7 bytes, zeros if random."""

    def __init__(self, data: bytes) -> None:
        self.vendor, self.type, self.subtype, self.major, self.minor, self.storage, self.protocol = data[:7]
        self.software_major = data[10]
        self.uid = bytes(data[14:21])


def _u24(number: int) -> bytes:
    if not 0 <= number < 1 << 24:
        raise Fault(FIELD_RANGE, "card.size", str(number))
    return struct.pack("<I", number)[:3]


def _application(number: bytes) -> bytes:
    if len(number) != 3:
        raise Fault(FIELD_RANGE, "card.application", "%d B" % len(number))
    return bytes((number[2], number[1], number[0]))


def access(*, read: int, write: int, both: int, change: int) -> int:
    """The access word of a file: four key numbers, FREE or NEVER."""
    return read << 12 | write << 8 | both << 4 | change


def command(session, code: int, header: bytes = b"", data: bytes = b"", mode: int = MAC, size: int = -1):
    """A talk: one command in a session.  `mode`: how the data goes out and, without data, how it comes."""
    payload = session.protect(code, header, data, mode)
    reply = yield from native.transact(code, payload)
    return session.open(reply, MAC if data and mode == FULL else mode, size)


def get_version():
    """A talk: the Version; also NTAG 424 answers it, an older card refuses."""
    data = yield from native.transact(native.GET_VERSION)
    if len(data) < 4 * _VERSION_PART:
        raise Fault(CARD_ANSWER, "version", "%d B" % len(data))
    return Version(data)


def select(number: bytes):
    """A talk: go to an application, or to CARD_LEVEL; ends every session."""
    data = yield from native.transact(native.SELECT_APPLICATION, _application(number))
    return data


def application_ids(session):
    """A talk: the numbers of all applications."""
    data = yield from command(session, native.APPLICATION_IDS)
    if len(data) % 3:
        raise Fault(CARD_ANSWER, "applications", "%d B" % len(data))
    return [bytes((data[at + 2], data[at + 1], data[at])) for at in range(0, len(data), 3)]


def key_version(session, number: int):
    """A talk: the version byte of a key; needs no key itself."""
    data = yield from command(session, native.KEY_VERSION, bytes((number,)))
    if len(data) != 1:
        raise Fault(CARD_ANSWER, "key version", "%d B" % len(data))
    return data[0]


def create_application(session, number: bytes, settings: int, keys: int):
    """A talk: a new application with AES keys, all zeros; `settings`: MF3ICD81 section 9.3.3."""
    if not 0 < keys <= KEYS_MAX:
        raise Fault(FIELD_RANGE, "card.keys", str(keys))
    body = _application(number) + bytes((settings, keys | AES_KEYS))
    yield from command(session, native.CREATE_APPLICATION, body)


def delete_application(session, number: bytes):
    """A talk: remove an application with all its files."""
    yield from command(session, native.DELETE_APPLICATION, _application(number))


def format_card(session):
    """A talk: remove every application; the card's own key stays."""
    yield from command(session, native.FORMAT)


def create_file(session, number: int, mode: int, rights: int, size: int):
    """A talk: a new standard data file; `rights` from access()."""
    body = bytes((number, mode)) + struct.pack("<H", rights) + _u24(size)
    yield from command(session, native.CREATE_STANDARD_FILE, body)


def file_ids(session):
    """A talk: the numbers of the files of the application."""
    data = yield from command(session, native.FILE_IDS)
    return list(data)


def file_settings(session, number: int):
    """A talk: (type, mode, access word) of a file."""
    data = yield from command(session, native.FILE_SETTINGS, bytes((number,)))
    return _FILE_SETTINGS.unpack(data)


def read_file(session, number: int, offset: int, size: int, mode: int = FULL):
    """A talk: exactly `size` bytes of a file, under the file's own mode."""
    header = bytes((number,)) + _u24(offset) + _u24(size)
    data = yield from command(session, native.READ_DATA, header, mode=mode, size=size)
    if len(data) != size:
        raise Fault(CARD_ANSWER, "file %d" % number, "%d B" % len(data))
    return data


def write_file(session, number: int, offset: int, data: bytes, mode: int = FULL):
    """A talk: write data into a file, under the file's own mode."""
    header = bytes((number,)) + _u24(offset) + _u24(len(data))
    yield from command(session, native.WRITE_DATA, header, data, mode=mode)


def change_key(session, number: int, new: bytes, version: int, old: bytes = bytes(16)):
    """A talk: a new AES key with its version; `old` is needed for another key than the session's.

    Changing the session's own key ends the session: the reply carries no MAC.
    Keys of an application have bare numbers, the card's own AES key is 0x80.
    """
    if len(new) != 16 or len(old) != 16:
        raise Fault(FIELD_RANGE, "card.key", "16 B")
    payload = session.new_key(native.CHANGE_KEY, number, new, version, old)
    reply = yield from native.transact(native.CHANGE_KEY, payload)
    if number & 0x3F != session.number:
        session.open(reply, MAC)
