"""School, device and account numbers: random, 32 bits, not zero; eight hex digits as text."""

from protocols.errors import BAD_ID, Fault

_DIGITS = "0123456789abcdef"


def hex8(number: int) -> str:
    """Eight lower-case hex digits of a 32-bit number."""
    if not 0 <= number <= 0xFFFFFFFF:
        raise Fault(BAD_ID, str(number))
    return "%08x" % number


def parse_hex8(text: str) -> int:
    """The number of exactly eight lower-case hex digits, or Fault(BAD_ID)."""
    if len(text) != 8:
        raise Fault(BAD_ID, text[:16])
    for character in text:
        if character not in _DIGITS:
            raise Fault(BAD_ID, text)
    return int(text, 16)


def random_id(random_bytes) -> int:
    """A 32-bit number that is not zero, from a source such as os.urandom."""
    while True:
        number = int.from_bytes(random_bytes(4), "little")
        if number:
            return number
