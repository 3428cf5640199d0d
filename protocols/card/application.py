"""The school's application on a DESFire card: reading it at a gate, writing it at the desk.

    application 4B4B01, three AES keys, one for each role: 0 desk, 1 gates, 2 canteen
    file 1, read by key 1, and file 2, read by key 2; written by key 0; enciphered; 16 bytes each:
    'KK' | u8 format 1 | u8 role | 8 B identity | u32 crc32 of all before it

Every key is diversified by the card's serial number and the role, and carries
the version of its master key, so that two versions live side by side.  Version 0
is the key of zeros that a new card has, and never genuine.  A gate's keys open
file 1 and nothing else: who takes a gate to pieces can read those cards, and can
neither write one nor read file 2.

Promises of issue(): it may be cut off after any command; what it finds done it
does not do again, and the key of the desk is set last, so that a card that has it
is finished.  wipe() takes a card back from any of these states.
"""

import struct
from binascii import crc32

from protocols.card import aes, credential, desfire, handshake, keys, native
from protocols.card.messaging import FULL, Open, jam_crc
from protocols.errors import CARD_ANSWER, CARD_NOT_GENUINE, CARD_REFUSES, FIELD_RANGE, Fault
from protocols.mac import equal

APPLICATION = b"\x4b\x4b\x01"
DESK, GATE, CANTEEN = 0, 1, 2
ROLES = (DESK, GATE, CANTEEN)
READERS = (GATE, CANTEEN)
CARD = 3
"""The role of the card's own key, which can format it: kept by the desk."""

IDENTITY = 8
CONTENT = 16
UID = 7
NEW_KEY = bytes(16)
_FORMAT = 1
_SYSTEM = b"KK"
# Master key changeable, listing free, files by the master key only, settings changeable.
_SETTINGS = 0x0B
_CARD_KEY = 0x80
_AUTHENTICATE_ISO = 0x1A


def material(uid: bytes, role: int) -> bytes:
    """The diversification input of one key of one card: serial number, application, 'KK', role."""
    if len(uid) != UID:
        # A random number is another one at each tap: no key can be made of it.
        raise Fault(FIELD_RANGE, "card.uid", "%d B" % len(uid))
    return bytes(uid) + APPLICATION + _SYSTEM + bytes((role,))


def card_key(master: bytes, uid: bytes, role: int) -> bytes:
    """16 bytes: the key that one card holds for a role."""
    return keys.diversify(master, material(uid, role))


def pack_content(role: int, identity: bytes) -> bytes:
    """The 16 bytes of a role's file."""
    if len(identity) != IDENTITY:
        raise Fault(FIELD_RANGE, "card.identity", "%d B" % len(identity))
    whole = _SYSTEM + bytes((_FORMAT, role)) + identity
    return whole + struct.pack("<I", crc32(whole))


def unpack_content(role: int, content: bytes) -> bytes:
    """The identity in a role's file, or Fault(CARD_ANSWER): half written, or another role's."""
    whole, told = content[:-4], content[-4:]
    right = len(content) == CONTENT and struct.pack("<I", crc32(whole)) == told
    if not right or whole[:4] != _SYSTEM + bytes((_FORMAT, role)):
        raise Fault(CARD_ANSWER, "card content")
    return whole[4:]


def credential_of(identity: bytes) -> str:
    """The canonical credential of a card that has proved itself."""
    digits = "".join("%02X" % value for value in identity)
    return credential.canonical("app:4B4B01:" + digits)


def authenticate(key: bytes, number: int, random_bytes):
    """A talk: a session under a key, EV2 where the card knows it, else EV1."""
    try:
        session = yield from handshake.ev2_first(key, number, random_bytes(aes.BLOCK))
    except Fault as fault:
        if native.status_of(fault) != native.ILLEGAL_COMMAND:
            raise
        session = yield from handshake.ev1(key, number, random_bytes(aes.BLOCK))
    return session


def _key_at(uid: bytes, role: int, version: int, master_of) -> bytes:
    """The key that a card holds whose version byte says so; Fault(CARD_NOT_GENUINE) for one nobody knows."""
    if not version:
        return NEW_KEY
    master = master_of(role, version)
    if master is None:
        raise Fault(CARD_NOT_GENUINE, "key version", str(version))
    return card_key(master, uid, role)


def identify(uid: bytes, role: int, master_of, random_bytes):
    """A talk: the credential of a genuine card, as a gate or a canteen reads it: five commands.

    `uid`: as the reader saw it, 7 bytes; `master_of(role, version)`: the master
    key, or None for a version that is not in force.  An EV1 takes one command more.  Faults: CARD_KIND is not
    raised here: a card without the application refuses by status
    NO_SUCH_APPLICATION; CARD_NOT_GENUINE is a copy or another school's.
    """
    yield from desfire.select(APPLICATION)
    version = yield from desfire.key_version(Open(), role)
    if not version:
        raise Fault(CARD_NOT_GENUINE, "key version", "0")
    session = yield from authenticate(_key_at(uid, role, version, master_of), role, random_bytes)
    content = yield from desfire.read_file(session, role, 0, CONTENT)
    return credential_of(unpack_content(role, content))


# The desk


class Masters:
    """The master keys that the desk gives out: `newest(role)` is (version, key), `of(role, version)` any."""

    def __init__(self, known: dict) -> None:
        self._known = known

    def __repr__(self) -> str:
        return "Masters()"

    def of(self, role: int, version: int):
        """16 bytes, or None."""
        return self._known.get((role, version))

    def newest(self, role: int) -> tuple:
        """(version, key) of the highest version of a role; Fault(FIELD_RANGE) where there is none."""
        versions = [version for known, version in self._known if known == role]
        if not versions:
            raise Fault(FIELD_RANGE, "master key", "role %d" % role)
        return max(versions), self._known[role, max(versions)]


def issue(uid: bytes, identity: bytes, masters: Masters, random_bytes):
    """A talk: write the application, or finish what was begun; returns the credential.

    The identity of a card that is finished already is kept and returned: the
    desk must know whose it is before it writes (see state()).
    """
    yield from _lock_card(uid, masters, random_bytes)
    applications = yield from desfire.application_ids(Open())
    if APPLICATION not in applications:
        yield from desfire.create_application(Open(), APPLICATION, _SETTINGS, len(ROLES))
    yield from desfire.select(APPLICATION)
    held = yield from desfire.key_version(Open(), DESK)
    session = yield from authenticate(_key_at(uid, DESK, held, masters.of), DESK, random_bytes)
    if held:
        # Finished before: only keys of an older version are renewed.
        identity = yield from _read_as_desk(session)
    else:
        yield from _write_files(session, identity)
    for role in READERS:
        yield from _renew_key(session, uid, role, masters)
    version, master = masters.newest(DESK)
    if held != version:
        yield from desfire.change_key(session, DESK, card_key(master, uid, DESK), version)
    made = ""
    for role in READERS:
        made = yield from identify(uid, role, masters.of, random_bytes)
    return made


def state(uid: bytes, masters: Masters, random_bytes):
    """A talk: what the desk has before it: (`new` or `begun` or `foreign`, ""), or (`issued`, credential)."""
    yield from desfire.select(desfire.CARD_LEVEL)
    applications = yield from desfire.application_ids(Open())
    if APPLICATION not in applications:
        return "new", ""
    yield from desfire.select(APPLICATION)
    held = yield from desfire.key_version(Open(), DESK)
    if not held:
        return "begun", ""
    found = yield from issued_or_foreign(identify(uid, GATE, masters.of, random_bytes))
    return found


def issued_or_foreign(identifying):
    """A talk: (`issued`, credential) where the talk `identifying` proves the card, else (`foreign`, "")."""
    try:
        made = yield from identifying
    except Fault as fault:
        if fault.code != CARD_NOT_GENUINE:
            raise
        return "foreign", ""
    return "issued", made


def wipe(uid: bytes, masters: Masters, random_bytes):
    """A talk: remove the application from whatever state it is in and give the card its first key back."""
    yield from desfire.select(desfire.CARD_LEVEL)
    applications = yield from desfire.application_ids(Open())
    if APPLICATION in applications:
        yield from desfire.select(APPLICATION)
        held = yield from desfire.key_version(Open(), DESK)
        session = yield from authenticate(_key_at(uid, DESK, held, masters.of), DESK, random_bytes)
        yield from desfire.delete_application(session, APPLICATION)
    yield from desfire.select(desfire.CARD_LEVEL)
    held = yield from desfire.key_version(Open(), 0)
    if held:
        session = yield from authenticate(_key_at(uid, CARD, held, masters.of), 0, random_bytes)
        yield from desfire.change_key(session, _CARD_KEY, NEW_KEY, 0)


def _read_as_desk(session):
    """A talk: the identity in the gates' file, which the desk's key may read too."""
    content = yield from desfire.read_file(session, GATE, 0, CONTENT)
    return unpack_content(GATE, content)


def _write_files(session, identity: bytes):
    there = yield from desfire.file_ids(session)
    for role in READERS:
        if role not in there:
            rights = desfire.access(read=role, write=DESK, both=DESK, change=DESK)
            yield from desfire.create_file(session, role, FULL, rights, CONTENT)
        yield from desfire.write_file(session, role, 0, pack_content(role, identity))


def _renew_key(session, uid: bytes, role: int, masters: Masters):
    version, master = masters.newest(role)
    held = yield from desfire.key_version(session, role)
    if held != version:
        old = _key_at(uid, role, held, masters.of)
        yield from desfire.change_key(session, role, card_key(master, uid, role), version, old)


def _lock_card(uid: bytes, masters: Masters, random_bytes):
    """A talk: give the card's own key, which can format it, to the desk."""
    version, master = masters.newest(CARD)
    new = card_key(master, uid, CARD)
    yield from desfire.select(desfire.CARD_LEVEL)
    held = yield from desfire.key_version(Open(), 0)
    if held == version:
        return
    if held:
        session = yield from authenticate(_key_at(uid, CARD, held, masters.of), 0, random_bytes)
        yield from desfire.change_key(session, _CARD_KEY, new, version)
        return
    try:
        session = yield from authenticate(NEW_KEY, 0, random_bytes)
    except Fault as fault:
        if fault.code not in (CARD_NOT_GENUINE, CARD_REFUSES):
            raise
        # A card from the factory has a DES key.
        yield from _leave_des(new, version, random_bytes)
        return
    yield from desfire.change_key(session, _CARD_KEY, new, version)


def _leave_des(new: bytes, version: int, random_bytes):
    """A talk: AuthenticateISO with the DES key of zeros, then ChangeKey to AES (MF3ICD81 9.4, 9.5)."""
    # Only a desk meets a card from the factory: a gate has no heap to spare for it.
    from protocols.card import des

    ours = random_bytes(des.BLOCK)
    start = bytes(des.BLOCK)
    reply = yield bytes((_AUTHENTICATE_ISO, 0))
    if len(reply) != 1 + des.BLOCK or reply[0] != native.MORE:
        raise Fault(CARD_NOT_GENUINE, "card key")
    sealed = bytes(reply[1:])
    theirs = des.decrypt(NEW_KEY, start, sealed)
    proof = des.encrypt(NEW_KEY, sealed, ours + handshake.turned(theirs))
    reply = yield bytes((native.MORE,)) + proof
    if not reply or reply[0] != native.OK or len(reply) != 1 + des.BLOCK:
        raise Fault(CARD_NOT_GENUINE, "card key")
    if not equal(des.decrypt(NEW_KEY, proof[-des.BLOCK :], bytes(reply[1:])), handshake.turned(ours)):
        raise Fault(CARD_NOT_GENUINE, "proof")
    # Both halves of the key are the same, and so are those of the session's.
    session = (ours[:4] + theirs[:4]) * 2
    body = new + bytes((version,))
    whole = body + jam_crc(bytes((native.CHANGE_KEY, _CARD_KEY)) + body)
    whole += bytes(-len(whole) % des.BLOCK)
    payload = bytes((_CARD_KEY,)) + des.encrypt(session, start, whole)
    yield from native.transact(native.CHANGE_KEY, payload)
