"""Keys of one card out of a school's master key: diversification (NXP AN10922, AN10957).

A key that a card holds is never the key that a reader holds: who opens one card
learns nothing about another.  M, the diversification input, is what tells cards
apart: UID || AID || system identifier, 1 to 31 bytes.

    AN10922, AES-128   CMAC over 01 || M, padded to 32 bytes
    AN10922, AES-192   11 || M and 12 || M; key = A[0:8] || (A[8:16] xor B[0:8]) || B[8:16]
    AN10922, AES-256   41 || M and 42 || M; key = A || B
    AN10957            CMAC over 01 || M, padded to whole blocks of 16 as in RFC 4493

The two forms of AES-128 differ only for M of less than 16 bytes.
"""

from protocols.card import cmac
from protocols.errors import FIELD_RANGE, Fault

_PADDED = 32
_AES_128 = (0x01,)
_AES_192 = (0x11, 0x12)
_AES_256 = (0x41, 0x42)
_CONSTANTS = {16: _AES_128, 24: _AES_192, 32: _AES_256}


def check_input(material) -> None:
    """Fault(FIELD_RANGE) unless the diversification input has 1 to 31 bytes."""
    if not 0 < len(material) < _PADDED:
        raise Fault(FIELD_RANGE, "diversification input", "%d B" % len(material))


def padded_cmac(master, constant: int, material) -> bytes:
    """16 bytes: CMAC over constant || M, padded to 32 bytes (AN10922 section 2.2)."""
    check_input(material)
    first, second = cmac.subkeys(master)
    whole = bytes((constant,)) + bytes(material)
    if len(whole) == _PADDED:
        return cmac.over_padded(master, whole, first)
    whole += b"\x80" + bytes(_PADDED - 1 - len(whole))
    return cmac.over_padded(master, whole, second)


def diversify(master, material) -> bytes:
    """The key of one card by AN10922, as long as the master key: 16, 24 or 32 bytes."""
    constants = _CONSTANTS.get(len(master))
    if constants is None:
        raise Fault(FIELD_RANGE, "master key", "%d B" % len(master))
    parts = [padded_cmac(master, constant, material) for constant in constants]
    if len(master) != 24:
        return b"".join(parts)
    first, second = parts
    return first[:8] + bytes(first[8 + place] ^ second[place] for place in range(8)) + second[8:]


def diversify_an10957(master, material) -> bytes:
    """The key of one card, 16 bytes, without the padding to 32."""
    check_input(material)
    if len(master) != 16:
        raise Fault(FIELD_RANGE, "master key", "%d B" % len(master))
    return cmac.cmac(master, bytes(_AES_128) + bytes(material))
