"""The canonical credential id: one spelling for one card, whichever reader saw it.

ASCII `scheme:HEX`, upper case, bytes in the order sent on air or bits in the
order of the standard.  Schemes, with the length of the value:

    a     4, 7, 10 B   ISO 14443 A serial number       em   5 B     EM4100, customer byte first
    b     4 B          ISO 14443 B PUPI                w26  6 digits   Wiegand payloads without parity,
    v     8 B          ISO 15693 UID, E0 first         w34  8 digits   filled with zeros on the left
    f     8 B          FeliCa IDm                      w37  9 digits   to whole nibbles
    osdp  bits:HEX     raw bits of a format that nobody knows, filled up on the right
    app   AID:HEX      an id that a card proved with a key, 4 to 16 B; AID of 3 or 7 B
    qr    TOKEN        16 to 64 letters and digits

A number that a card only shows can be copied: it names a card and proves
nothing.  `app` alone is proof.  w26, w34 and w37 are weak: what a reader left of
a longer number, so that two cards can have one (see aliases()); a card of which
nothing else is known stands under a name of parts(), which no reader can say.
"""

from protocols.errors import BAD_CREDENTIAL, CARD_KIND, Fault
from protocols.mac import hmac_sha256

REFERENCE_SIZE = 16
DEVICE_REFERENCE_SIZE = 8

# Digits of the value, by scheme.
_DIGITS = {
    "a": (8, 14, 20),
    "b": (8,),
    "v": (16,),
    "f": (16,),
    "em": (10,),
    "w26": (6,),
    "w34": (8,),
    "w37": (9,),
}
_PROVED_DIGITS = (8, 32)
_APPLICATION_DIGITS = (6, 14)
_TOKEN_LENGTH = (16, 64)
_OSDP_BITS_MAX = 256
_W37_MAX = 0x7FFFFFFFF
_HEX = "0123456789ABCDEF"
_TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

WEAK = ("w26", "w34", "w37")
_CASCADE = "88"
_RANDOM = "08"


def _check_all(text: str, allowed: str, what: str) -> None:
    # Nothing is left of a text whose letters may all go.
    if text.strip(allowed):
        raise Fault(BAD_CREDENTIAL, what)


def canonical(text: str) -> str:
    """The canonical spelling of `scheme:value` in any letter case, or Fault(BAD_CREDENTIAL).

    The fault does not carry the id: raw ids stand in no log.
    """
    text = text.strip()
    scheme, colon, value = text.partition(":")
    sizes = _DIGITS.get(scheme)
    if sizes is None:
        scheme = scheme.lower()
        sizes = _DIGITS.get(scheme)
    if sizes is None or not colon:
        return _canonical_long(scheme, value)
    digits = value.upper()
    if digits.strip(_HEX):
        raise Fault(BAD_CREDENTIAL, "digits")
    if len(digits) not in sizes:
        raise Fault(BAD_CREDENTIAL, "length")
    if scheme == "a" and len(digits) == 8 and digits[:2] == _CASCADE:
        # 88 says that more bytes follow: a reader has left them out (ISO 14443-3, 6.5.4).
        raise Fault(BAD_CREDENTIAL, "cascade tag")
    if scheme == "v" and digits[:2] != "E0":
        raise Fault(BAD_CREDENTIAL, "manufacturer")
    if scheme == "w37" and int(digits, 16) > _W37_MAX:
        raise Fault(BAD_CREDENTIAL, "bits")
    if digits == value and text.startswith(scheme):
        # As nearly every reader says it: nothing to make anew at a tap.
        return text
    return scheme + ":" + digits


def _canonical_long(scheme: str, value: str) -> str:
    if scheme == "qr":
        _check_all(value, _TOKEN, "token")
        if not _TOKEN_LENGTH[0] <= len(value) <= _TOKEN_LENGTH[1]:
            raise Fault(BAD_CREDENTIAL, "length")
        return "qr:" + value
    first, colon, second = value.partition(":")
    if scheme not in ("app", "osdp") or not colon:
        raise Fault(BAD_CREDENTIAL, "scheme")
    first, second = first.upper(), second.upper()
    _check_all(second, _HEX, "digits")
    if scheme == "app":
        _check_all(first, _HEX, "application")
        if len(first) not in _APPLICATION_DIGITS or len(second) % 2:
            raise Fault(BAD_CREDENTIAL, "length")
        if not _PROVED_DIGITS[0] <= len(second) <= _PROVED_DIGITS[1]:
            raise Fault(BAD_CREDENTIAL, "length")
        return "app:" + first + ":" + second
    _check_all(first, "0123456789", "bits")
    bits = int(first) if 0 < len(first) < 4 and first[0] != "0" else 0
    if not 0 < bits <= _OSDP_BITS_MAX or len(second) != (bits + 7) // 8 * 2:
        raise Fault(BAD_CREDENTIAL, "length")
    if int(second, 16) & ((1 << -bits % 8) - 1):
        raise Fault(BAD_CREDENTIAL, "bits")
    return "osdp:" + first + ":" + second


def scheme_of(credential: str) -> str:
    """The scheme of a canonical credential."""
    return credential.partition(":")[0]


def is_weak(credential: str) -> bool:
    """Whether two different cards can have this credential, because a reader left a part out."""
    return scheme_of(credential) in WEAK


def is_proof(credential: str) -> bool:
    """Whether only a card that knows a key can have said this."""
    return scheme_of(credential) == "app"


def is_random(credential: str) -> bool:
    """Whether the card draws this number anew at each tap: 4 bytes from 08 on (ISO 14443-3, 6.5.4)."""
    return credential[:4] == "a:" + _RANDOM and len(credential) == 10


def check_enrolment(credential: str) -> None:
    """Fault(CARD_KIND) for what must not be given to a pupil as a card: a random number, a lossy form."""
    if is_random(credential):
        raise Fault(CARD_KIND, "random number")
    if is_weak(credential):
        raise Fault(CARD_KIND, "lossy form")


def of_uid(uid, is_reversed: bool = False) -> str:
    """`a:` of the bytes of an ISO 14443 A serial number; `is_reversed`: the reader says the last byte first.

    A cascade tag in front of 7 or 10 bytes is no part of the number and is left
    out where a reader passes it on (88 and 7 bytes).
    """
    told = bytes(uid)
    if is_reversed:
        told = bytes(reversed(told))
    if len(told) == 8 and told[0] == 0x88:
        told = told[1:]
    return canonical("a:" + _hex(told))


def _hex(data) -> str:
    return "".join("%02X" % value for value in data)


def _number(credential: str) -> int:
    return int(credential.rpartition(":")[2], 16)


def aliases(credential: str) -> tuple:
    """The weak spellings under which readers that leave a part out may say this card.

    They name the card only while no other card has the same: whoever looks one
    up must refuse when it matches more than one.
    """
    scheme = scheme_of(credential)
    if scheme == "em":
        number = _number(credential)
        return "w34:%08X" % (number & 0xFFFFFFFF), "w26:%06X" % (number & 0xFFFFFF)
    if scheme == "w34":
        return ("w26:%06X" % (_number(credential) & 0xFFFFFF),)
    if scheme == "a":
        digits = credential[2:]
        pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
        ahead, back = pairs[:4], list(reversed(pairs[:4]))
        made = []
        for order in (ahead, back):
            made += ["w34:" + "".join(order), "w26:" + "".join(order[1:])]
        return tuple(made)
    return ()


def parts(credential: str) -> tuple:
    """The names of a card of which only the last 32 or 24 bits are known, as this card would have them.

    The longest first.  Readers and people cannot say such a name, so what a reader says in whole never
    matches another card by its end alone, but for one that nobody knows in whole.
    """
    scheme = scheme_of(credential)
    if scheme not in ("em", "w34", "w26"):
        return ()
    last = "part:" + credential[-6:]
    return (last,) if scheme == "w26" else ("part:" + credential[-8:], last)


def card_ref(school_key: bytes, credential: str) -> bytes:
    """16 bytes that name a card in one school's tables; devices hold the first 8.

    `credential` is canonical.  Unlinkable across schools without their keys.
    """
    return hmac_sha256(school_key, credential.encode())[:REFERENCE_SIZE]
