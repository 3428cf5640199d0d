"""Triple DES with two keys in CBC (FIPS 46-3, ANSI X9.52): what the oldest protected cards speak.

Promises: right, not quick: an Ultralight C is recognised with it at the desk,
no gate decides by it.  MicroPython has no DES and `cryptography` keeps it among
what it will drop, so both interpreters run the plain code below.
"""

from protocols.errors import FIELD_RANGE, Fault

BLOCK = 8
KEY = 16

# The tables of FIPS 46-3, bits counted from 1 at the left.
_PC1 = bytes(
    (
        57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18,
        10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
        63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22,
        14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
    )
)  # fmt: skip
_PC2 = bytes(
    (
        14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
        41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
    )
)  # fmt: skip
_P = bytes(
    (
        16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
        2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
    )
)  # fmt: skip
_IP = bytes(58 + 2 * (row % 4) - 8 * column - (row // 4) for row in range(8) for column in range(8))
_SHIFTS = bytes((1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1))
# Eight boxes, each of four rows of sixteen, one hex digit a value.
_BOXES = (
    "E4D12FB83A6C59070F74E2D1A6CB953841E8D62BFC973A50FC8249175B3EA06D",
    "F18E6B34972DC05A3D47F28EC01A69B50E7BA4D158C6932FD8A13F42B67C05E9",
    "A09E63F51DC7B428D709346A285ECBF1D6498F30B12C5AE71AD069874FE3B52C",
    "7DE3069A1285BC4FD8B56F03472C1AE9A690CB7DF13E52843F06A1D8945BC72E",
    "2C417AB6853FD0E9EB2C47D150FA3986421BAD78F9C5630EB8C71E2D6F09A453",
    "C1AF92680D34E75BAF427C9561DE0B389EF528C3704A1DB6432C95FABE17608D",
    "4B2EF08D3C975A61D0B7491AE35C2F8614BDC37EAF6805926BD814A7950FE23C",
    "D2846FB1A93E50C71FD8A374C56B0E927B419CE206ADF35821E74A8DFC90356B",
)


def _permuted(number: int, bits: int, table: bytes) -> int:
    """The bits of a number of so many bits in the order of a table."""
    made = 0
    for place in table:
        made = made << 1 | (number >> (bits - place)) & 1
    return made


def _inverted(table: bytes) -> bytes:
    made = bytearray(len(table))
    for place, source in enumerate(table):
        made[source - 1] = place + 1
    return bytes(made)


_FP = _inverted(_IP)


def _round_keys(key) -> list:
    """Sixteen numbers of 48 bits."""
    both = _permuted(int.from_bytes(key, "big"), 64, _PC1)
    left, right = both >> 28, both & 0xFFFFFFF
    made = []
    for turns in _SHIFTS:
        left = (left << turns | left >> (28 - turns)) & 0xFFFFFFF
        right = (right << turns | right >> (28 - turns)) & 0xFFFFFFF
        made.append(_permuted(left << 28 | right, 56, _PC2))
    return made


def _mixed(half: int, key: int) -> int:
    """The function f of 32 bits and 48 bits of key."""
    # Expansion: six bits around each of eight nibbles, the half taken as a ring.
    ring = (half & 1) << 33 | half << 1 | half >> 31
    chosen = 0
    for number in range(8):
        six = (ring >> (28 - 4 * number) & 0x3F) ^ (key >> (42 - 6 * number) & 0x3F)
        row = six >> 4 & 2 | six & 1
        chosen = chosen << 4 | int(_BOXES[number][row * 16 + (six >> 1 & 0xF)], 16)
    return _permuted(chosen, 32, _P)


def _block(number: int, keys) -> int:
    """One DES of 64 bits with the round keys in the order given."""
    both = _permuted(number, 64, _IP)
    left, right = both >> 32, both & 0xFFFFFFFF
    for key in keys:
        left, right = right, left ^ _mixed(right, key)
    return _permuted(right << 32 | left, 64, _FP)


def _schedules(key) -> tuple:
    if len(key) != KEY:
        raise Fault(FIELD_RANGE, "des.key", "%d B" % len(key))
    first, second = _round_keys(key[:8]), _round_keys(key[8:])
    return (first, list(reversed(first))), (second, list(reversed(second)))


def _numbers(data) -> list:
    if not data or len(data) % BLOCK:
        raise Fault(FIELD_RANGE, "des.data", "%d B" % len(data))
    return [int.from_bytes(data[at : at + BLOCK], "big") for at in range(0, len(data), BLOCK)]


def encrypt(key, iv, data) -> bytes:
    """CBC: encrypt with the first key, decrypt with the second, encrypt with the first."""
    (first, _first_back), (_second, second_back) = _schedules(key)
    previous = int.from_bytes(iv, "big")
    output = b""
    for number in _numbers(data):
        previous = _block(_block(_block(number ^ previous, first), second_back), first)
        output += previous.to_bytes(BLOCK, "big")
    return output


def decrypt(key, iv, data) -> bytes:
    """CBC, the other way round."""
    (_first, first_back), (second, _second_back) = _schedules(key)
    previous = int.from_bytes(iv, "big")
    output = b""
    for number in _numbers(data):
        plain = _block(_block(_block(number, first_back), second), first_back) ^ previous
        output += plain.to_bytes(BLOCK, "big")
        previous = number
    return output
