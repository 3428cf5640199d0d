"""Proving a key to a card and having it prove its own: the authentications of DESFire and NTAG 424.

Talks (see native.py): each takes the key, its number on the card and 16 random
bytes, and returns a session of messaging.py.  Promises: a card that does not
know the key is Fault(CARD_NOT_GENUINE), a card that holds another key refuses
by itself, which is the same fault; nobody learns the key from either side.

    EV1   AA n -> E(B);  AF E(A || B') -> E(A')          one chain of CBC; session key A0-3 B0-3 A12-15 B12-15
    EV2   71 n 00 -> E(B);  AF E(A || B') -> E(TI || A' || caps)   each with IV 0
    EV2 next  77 n -> E(B);  AF E(A || B') -> E(A')      the transaction goes on

B' is B turned left by one byte.  Sources: MF3ICD81 section 9.4; AN12196 6.6.
"""

from protocols.card import aes, cmac, native
from protocols.card.messaging import Ev1, Ev2
from protocols.errors import CARD_ANSWER, CARD_NOT_GENUINE, CARD_REFUSES, Fault
from protocols.mac import equal

_LABEL_ENC = b"\xa5\x5a\x00\x01\x00\x80"
_LABEL_MAC = b"\x5a\xa5\x00\x01\x00\x80"


def turned(block) -> bytes:
    """A block turned left by one byte."""
    return bytes(block[1:]) + bytes(block[:1])


def ev1_session_key(ours: bytes, theirs: bytes) -> bytes:
    """16 bytes of the two random numbers."""
    return ours[:4] + theirs[:4] + ours[12:] + theirs[12:]


def ev2_session_keys(key: bytes, ours: bytes, theirs: bytes) -> tuple:
    """(encryption key, MAC key): CMACs over labels and a mix of the two random numbers."""
    mixed = bytes(ours[2 + place] ^ theirs[place] for place in range(6))
    context = ours[:2] + mixed + theirs[6:] + ours[8:]
    return cmac.cmac(key, _LABEL_ENC + context), cmac.cmac(key, _LABEL_MAC + context)


def _challenge(command: bytes):
    """A talk: the card's encrypted random number."""
    reply = yield command
    if len(reply) != 1 + aes.BLOCK or reply[0] != native.MORE:
        if reply and reply[0] not in (native.OK, native.MORE):
            raise native.refused(reply)
        raise Fault(CARD_ANSWER, "challenge", "%d B" % len(reply))
    return bytes(reply[1:])


def _answer(command: bytes, size: int):
    """A talk: the card's proof; a card that refuses ours holds another key."""
    reply = yield command
    try:
        return native.take(reply, size)
    except Fault as fault:
        if fault.code == CARD_REFUSES:
            raise Fault(CARD_NOT_GENUINE, "key", fault.detail)  # noqa: B904
        raise


def ev1(key: bytes, number: int, ours: bytes):
    """A talk: AuthenticateAES; returns an Ev1."""
    sealed = yield from _challenge(bytes((native.AUTHENTICATE_AES, number)))
    theirs = aes.decrypt(key, aes.ZEROS, sealed)
    proof = aes.encrypt(key, sealed, ours + turned(theirs))
    told = yield from _answer(bytes((native.MORE,)) + proof, aes.BLOCK)
    if not equal(aes.decrypt(key, proof[-aes.BLOCK :], told), turned(ours)):
        raise Fault(CARD_NOT_GENUINE, "proof")
    return Ev1(ev1_session_key(ours, theirs), number)


def _ev2_exchange(key: bytes, command: bytes, ours: bytes, size: int):
    """A talk: (their random number, the plain proof of `size` bytes)."""
    sealed = yield from _challenge(command)
    theirs = aes.decrypt(key, aes.ZEROS, sealed)
    proof = aes.encrypt(key, aes.ZEROS, ours + turned(theirs))
    told = yield from _answer(bytes((native.MORE,)) + proof, size)
    return theirs, aes.decrypt(key, aes.ZEROS, told)


def ev2_first(key: bytes, number: int, ours: bytes):
    """A talk: AuthenticateEV2First; returns an Ev2 with a new transaction."""
    command = bytes((native.AUTHENTICATE_EV2_FIRST, number, 0x00))
    theirs, plain = yield from _ev2_exchange(key, command, ours, 2 * aes.BLOCK)
    transaction, proof = plain[:4], plain[4 : 4 + aes.BLOCK]
    if not equal(proof, turned(ours)):
        raise Fault(CARD_NOT_GENUINE, "proof")
    encryption, mac = ev2_session_keys(key, ours, theirs)
    return Ev2(encryption, mac, transaction, number)


def ev2_next(key: bytes, number: int, ours: bytes, before: Ev2):
    """A talk: AuthenticateEV2NonFirst; returns an Ev2 that goes on with the transaction of `before`."""
    command = bytes((native.AUTHENTICATE_EV2_NEXT, number))
    theirs, plain = yield from _ev2_exchange(key, command, ours, aes.BLOCK)
    if not equal(plain, turned(ours)):
        raise Fault(CARD_NOT_GENUINE, "proof")
    encryption, mac = ev2_session_keys(key, ours, theirs)
    return Ev2(encryption, mac, before.transaction, number, before.counter)
