"""NTAG 424 DNA: the commands that a school's card needs, and the check of a SUN message (NXP AN12196).

A SUN (secure unique NFC) message is a text that the tag itself makes at each
tap: its id and a counter, encrypted, and a MAC.  It can be read now and spent
later, so it may open a page and a gate and never pays.  Promises: a counter that
is not above the last one seen is Fault(CARD_REPLAYED), and only after the MAC was right.
"""

import struct

from protocols.card import aes, cmac, desfire, native
from protocols.card.messaging import FULL, PLAIN
from protocols.errors import CARD_ANSWER, CARD_NOT_GENUINE, CARD_REPLAYED, Fault
from protocols.mac import equal

APPLICATION = b"\xd2\x76\x00\x00\x85\x01\x01"
KEYS = 5
CAPABILITY_FILE, NDEF_FILE, DATA_FILE = 1, 2, 3
UID = 7

_ENC_LABEL = b"\xc3\x3c\x00\x01\x00\x80"
_MAC_LABEL = b"\x3c\xc3\x00\x01\x00\x80"
_HAS_UID = 0x80
_HAS_COUNTER = 0x40
_UID_SIZE = 0x07


def select():
    """A talk: go to the tag's one application; for a card that has none see tag.is_absent()."""
    yield from native.transact(native.SELECT_DF, APPLICATION)


def read_file(session, number: int, offset: int, size: int, mode: int = PLAIN):
    """A talk: `size` bytes of a file, under the file's own mode."""
    header = bytes((number,)) + struct.pack("<I", offset)[:3] + struct.pack("<I", size)[:3]
    data = yield from desfire.command(session, native.NTAG_READ_DATA, header, mode=mode, size=size)
    if len(data) != size:
        raise Fault(CARD_ANSWER, "file %d" % number, "%d B" % len(data))
    return data


def write_file(session, number: int, offset: int, data: bytes, mode: int = PLAIN):
    """A talk: write data into a file, under the file's own mode."""
    header = bytes((number,)) + struct.pack("<I", offset)[:3] + struct.pack("<I", len(data))[:3]
    yield from desfire.command(session, native.NTAG_WRITE_DATA, header, data, mode=mode)


def change_file_settings(session, number: int, settings: bytes):
    """A talk: new settings of a file, enciphered (AN12196 section 6.9)."""
    yield from desfire.command(session, native.CHANGE_FILE_SETTINGS, bytes((number,)), settings, mode=FULL)


def card_uid(session):
    """A talk: the true 7 bytes of a tag that has proved a key, also of one that shows a random id."""
    data = yield from desfire.command(session, native.CARD_UID, mode=FULL, size=UID)
    if len(data) != UID:
        raise Fault(CARD_ANSWER, "uid", "%d B" % len(data))
    return data


class Sun:
    """What a SUN message proved: `uid` 7 bytes, `counter` of taps."""

    def __init__(self, uid: bytes, counter: int) -> None:
        self.uid = uid
        self.counter = counter


def vector(label: bytes, uid: bytes, counter: bytes) -> bytes:
    """16 bytes: SV1 or SV2 of a tap (AN12196 section 4.4), zeros behind what is mirrored."""
    whole = label + uid + counter
    return whole + bytes(-len(whole) % aes.BLOCK)


def session_vector(uid: bytes, counter: bytes) -> bytes:
    """SV2, from which the key of the MAC is made."""
    return vector(_MAC_LABEL, uid, counter)


def encryption_vector(uid: bytes, counter: bytes) -> bytes:
    """SV1, from which the key of enciphered file data is made."""
    return vector(_ENC_LABEL, uid, counter)


def picc_data(meta_key: bytes, sealed: bytes) -> tuple:
    """(plain 16 bytes, uid, counter of 3 bytes) of encrypted PICCData, or Fault(CARD_NOT_GENUINE)."""
    if len(sealed) != aes.BLOCK:
        raise Fault(CARD_NOT_GENUINE, "picc data", "%d B" % len(sealed))
    plain = aes.decrypt(meta_key, aes.ZEROS, sealed)
    tag = plain[0]
    if not tag & _HAS_UID or not tag & _HAS_COUNTER or tag & 0x0F != _UID_SIZE:
        raise Fault(CARD_NOT_GENUINE, "picc data", "tag %02x" % tag)
    return plain, plain[1 : 1 + UID], plain[1 + UID : 4 + UID]


def sun_mac(file_key: bytes, uid: bytes, counter: bytes, message: bytes = b"") -> tuple:
    """(session key, MAC of 8 bytes) over what the tag mirrored between its offsets."""
    key = cmac.cmac(file_key, session_vector(uid, counter))
    return key, cmac.truncated(cmac.cmac(key, message))


def check_sun(meta_key: bytes, file_key, sealed: bytes, told: bytes, last: int, message: bytes = b"") -> Sun:
    """The Sun of a message.  `file_key(uid)`: the tag's own key; `last`: the highest counter seen of the tag.

    `last` is asked of the tag's record by the caller, who must keep the new
    counter durably before anything follows from it.
    """
    _plain, uid, counter = picc_data(meta_key, sealed)
    _key, mac = sun_mac(file_key(uid), uid, counter, message)
    if not equal(mac, bytes(told)):
        raise Fault(CARD_NOT_GENUINE, "sun mac")
    number = int.from_bytes(counter, "little")
    if number <= last:
        raise Fault(CARD_REPLAYED, "sun counter", str(number))
    return Sun(uid, number)
