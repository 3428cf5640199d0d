"""The school's keys on an NTAG 424 DNA: reading it at a gate, writing it at the desk.

    key 0 desk, 1 gates, 2 canteen, 3 the file's SUN key, each diversified by serial number and role;
    key 4, the meta key of SUN, is the same in all tags of a school, else nobody could tell whose SUN it is.
    The credential is the tag's own serial number, said under a key that only the school knows.

A key of version 0 is the key of zeros of a new tag.  Promises: as of
application.py: issue() and wipe() may be cut off after any command; key 0 is set last
by the one and first given back by the other.
"""

from protocols.card import application, credential, handshake, native, ntag424
from protocols.card.application import CANTEEN, DESK, GATE, Masters, card_key
from protocols.card.desfire import change_key, key_version
from protocols.card.messaging import Open
from protocols.errors import CARD_NOT_GENUINE, Fault

FILE_SUN, META_SUN = 3, 4
SUN_ROLE, META_ROLE = 4, 5
"""Their roles among the master keys; 3 is that of a DESFire card's own key."""

KEYS = ((GATE, GATE), (CANTEEN, CANTEEN), (FILE_SUN, SUN_ROLE), (META_SUN, META_ROLE))
"""Key number on the tag and role of its master key, of all but the desk's."""


def key_of(master: bytes, uid: bytes, role: int) -> bytes:
    """16 bytes: the key that one tag holds for a role; the meta key is the school's own."""
    return bytes(master) if role == META_ROLE else card_key(master, uid, role)


def _at(uid: bytes, role: int, version: int, master_of) -> bytes:
    if not version:
        return application.NEW_KEY
    master = master_of(role, version)
    if master is None:
        raise Fault(CARD_NOT_GENUINE, "key version", str(version))
    return key_of(master, uid, role)


def _enter(uid: bytes, number: int, role: int, master_of, random_bytes):
    """A talk: (version of the key, session under it)."""
    yield from ntag424.select()
    held = yield from key_version(Open(), number)
    key = _at(uid, role, held, master_of)
    session = yield from handshake.ev2_first(key, number, random_bytes(16))
    return held, session


def identify(uid: bytes, role: int, master_of, random_bytes):
    """A talk: the credential of a genuine tag, as a gate or a canteen reads it: five commands.

    The number that the reader saw must be the tag's own: Fault(CARD_NOT_GENUINE) otherwise.
    """
    held, session = yield from _enter(uid, role, role, master_of, random_bytes)
    if not held:
        raise Fault(CARD_NOT_GENUINE, "key version", "0")
    told = yield from ntag424.card_uid(session)
    if told != bytes(uid):
        raise Fault(CARD_NOT_GENUINE, "uid")
    return credential_of(told)


def credential_of(uid: bytes) -> str:
    """The canonical credential of a tag that has proved itself."""
    digits = "".join("%02X" % value for value in ntag424.APPLICATION + bytes(uid))
    return credential.canonical("app:" + digits[:14] + ":" + digits[14:])


def state(uid: bytes, masters: Masters, random_bytes):
    """A talk: what the desk has before it: (`new` or `begun` or `foreign`, ""), or (`issued`, credential)."""
    yield from ntag424.select()
    held = yield from key_version(Open(), DESK)
    written = 0
    for number, _role in KEYS:
        one = yield from key_version(Open(), number)
        written += one > 0
    if not held:
        return ("begun" if written else "new"), ""
    if written == len(KEYS):
        found = yield from application.issued_or_foreign(identify(uid, GATE, masters.of, random_bytes))
        return found
    # A wipe that was cut off has left the desk's key; another system's tag may have only one too.
    found = yield from application.issued_or_foreign(_enter(uid, DESK, DESK, masters.of, random_bytes))
    return ("begun" if found[0] == "issued" else "foreign"), ""


def issue(uid: bytes, masters: Masters, random_bytes):
    """A talk: write the keys, or finish what was begun; returns the credential."""
    held, session = yield from _enter(uid, DESK, DESK, masters.of, random_bytes)
    for number, role in KEYS:
        version, master = masters.newest(role)
        one = yield from key_version(session, number)
        if one != version:
            old = _at(uid, role, one, masters.of)
            yield from change_key(session, number, key_of(master, uid, role), version, old)
    version, master = masters.newest(DESK)
    if held != version:
        yield from change_key(session, DESK, key_of(master, uid, DESK), version)
    made = ""
    for role in (GATE, CANTEEN):
        made = yield from identify(uid, role, masters.of, random_bytes)
    return made


def wipe(uid: bytes, masters: Masters, random_bytes):
    """A talk: give the tag its keys of zeros back."""
    held, session = yield from _enter(uid, DESK, DESK, masters.of, random_bytes)
    for number, role in KEYS:
        one = yield from key_version(session, number)
        if one:
            old = _at(uid, role, one, masters.of)
            yield from change_key(session, number, application.NEW_KEY, 0, old)
    if held:
        yield from change_key(session, DESK, application.NEW_KEY, 0)


def is_absent(fault: Fault) -> bool:
    """Whether a card said that it is no NTAG 424 at all."""
    return native.status_of(fault) in (native.NO_SUCH_APPLICATION, native.ILLEGAL_COMMAND)
