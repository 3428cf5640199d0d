"""What a reader asks of a card that speaks ISO-DEP: our application, our tag, else the number that it shows.

Promises: a card that carries our application or our keys is told by what it proved or not at all: a copy of
it raises the Fault of the talk (CARD_NOT_GENUINE).  A card that has nothing of ours is its serial number.
"""

from protocols.card import application, native, tag
from protocols.card.credential import of_uid
from protocols.errors import Fault


def prover(role: int, master_of, random_bytes):
    """`prove` of a chip's driver: uid -> a talk whose value is the canonical credential.

    `role`: GATE or CANTEEN; `master_of(role, version)`: the master key in force, or None.
    """
    return lambda uid: _prove(uid, role, master_of, random_bytes)


def _prove(uid: bytes, role: int, master_of, random_bytes):
    if len(uid) != application.UID:
        # A number that is drawn anew at each tap, or a card of another kind: no key can be made of it.
        return of_uid(uid)
    try:
        proved = yield from application.identify(uid, role, master_of, random_bytes)
        return proved
    except Fault as fault:
        if native.status_of(fault) not in (native.NO_SUCH_APPLICATION, native.ILLEGAL_COMMAND):
            raise
    try:
        proved = yield from tag.identify(uid, role, master_of, random_bytes)
        return proved
    except Fault as fault:
        if not tag.is_absent(fault):
            raise
    return of_uid(uid)
