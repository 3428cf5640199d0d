"""The canonical credential id: one spelling for one card, whichever reader saw it.

ASCII `scheme:HEX`, bytes in the order sent on air.  This first file knows the
ISO 14443 A serial number (`a:`) of 4, 7 or 10 bytes; the other schemes join
here.  A serial number can be copied: it names a card and proves nothing.
"""

from protocols.errors import BAD_CREDENTIAL, Fault
from protocols.mac import hmac_sha256

REFERENCE_SIZE = 16
DEVICE_REFERENCE_SIZE = 8

_SIZES = {"a": (4, 7, 10)}
_HEX = "0123456789ABCDEF"


def canonical(text: str) -> str:
    """The canonical spelling of `scheme:hex` in any letter case, or Fault(BAD_CREDENTIAL).

    The fault does not carry the id: raw ids stand in no log.
    """
    scheme, colon, digits = text.strip().partition(":")
    scheme = scheme.lower()
    digits = digits.upper()
    if not colon or scheme not in _SIZES:
        raise Fault(BAD_CREDENTIAL, "scheme")
    for digit in digits:
        if digit not in _HEX:
            raise Fault(BAD_CREDENTIAL, "digits")
    if len(digits) % 2 or len(digits) // 2 not in _SIZES[scheme]:
        raise Fault(BAD_CREDENTIAL, "length")
    return scheme + ":" + digits


def card_ref(school_key: bytes, credential: str) -> bytes:
    """16 bytes that name a card in one school's tables; devices hold the first 8.

    `credential` is canonical.  Unlinkable across schools without their keys.
    """
    return hmac_sha256(school_key, credential.encode())[:REFERENCE_SIZE]
