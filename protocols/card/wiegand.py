"""Wiegand frames: bits of a reader's wires to a credential, and back for an old panel.

    26 (H10301)  even parity over the first 12 of 24 bits, odd over the last 12
    34           even over the first 16 of 32, odd over the last 16
    37 (H10304)  even over the first 18 of 35, odd over the last 18: the middle bit counts twice

The even bit goes first, the odd bit last.  Promises: a frame counts when its
length is one of these and both parities are right; all else is a number of
protocols.errors, never a guess.  Source: HID application note 10/26, H10304.
"""

from protocols.card.credential import canonical
from protocols.errors import BAD_CREDENTIAL, Fault

# Length of the frame: bits under one parity.
_HALVES = {26: 12, 34: 16, 37: 18}


def _parity(number: int) -> int:
    odd = 0
    while number:
        odd ^= number & 1
        number >>= 1
    return odd


def _parities(payload: int, length: int) -> tuple:
    """(even bit, odd bit) of a payload without parity."""
    half, bits = _HALVES[length], length - 2
    first = payload >> (bits - half)
    last = payload & ((1 << half) - 1)
    return _parity(first), _parity(last) ^ 1


def credential_of(frame: int, length: int) -> str:
    """The credential of a frame, its first bit the highest; Fault(BAD_CREDENTIAL) names what is wrong."""
    if length not in _HALVES:
        raise Fault(BAD_CREDENTIAL, "wiegand length", str(length))
    if frame >> length:
        raise Fault(BAD_CREDENTIAL, "wiegand bits")
    payload = frame >> 1 & ((1 << (length - 2)) - 1)
    even, odd = _parities(payload, length)
    if even != frame >> (length - 1) or odd != frame & 1:
        raise Fault(BAD_CREDENTIAL, "wiegand parity")
    return canonical("w%d:%0*X" % (length, (length + 1) // 4, payload))


def frame_of(credential: str) -> tuple:
    """(frame, length) of a w26, w34 or w37 credential; Fault(BAD_CREDENTIAL) for any other."""
    scheme, _colon, digits = canonical(credential).partition(":")
    length = int(scheme[1:]) if scheme in ("w26", "w34", "w37") else 0
    if not length:
        raise Fault(BAD_CREDENTIAL, "wiegand", scheme)
    payload = int(digits, 16)
    even, odd = _parities(payload, length)
    return even << (length - 1) | payload << 1 | odd, length


def of_raw_bits(bits: int, data) -> str:
    """The credential of raw bits as OSDP carries them, first bit highest, filled up on the right.

    A frame that a Wiegand wire would carry has the credential of that wire, so
    that one card is one card whichever way the reader is connected.
    """
    if bits <= 0 or len(data) != (bits + 7) // 8:
        raise Fault(BAD_CREDENTIAL, "raw bits", str(bits))
    if bits in _HALVES:
        return credential_of(int.from_bytes(data, "big") >> (-bits % 8), bits)
    return canonical("osdp:%d:%s" % (bits, "".join("%02X" % value for value in data)))
