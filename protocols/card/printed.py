"""Numbers as they are printed on cards and key fobs, read into credentials.

    hex       04A1B2C3, 04:A1:B2:C3, 01026F6C3A     a serial number in hex, the first byte sent first
    hex-back  C3B2A104                              the same, the last byte first
    dec       77705923                              4 bytes of a serial number as one number
    dec-back  3283263748                            the same, the last byte first
    felica    01160400B3084E22                      the 8 bytes of an IDm
    em-40     004335823930                          EM4100, 12 or 13 digits: all 40 bits
    em-32     0040856634                            10 digits: 32 bits, the customer byte is not there
    em-24     07302202                              8 digits: 24 bits
    em-3-5    111,27706                             3 and 5 digits: 24 bits
    em-5-5    00623,27706                           5 and 5 digits: 32 bits
    id        a:04A1B2C3                            a canonical credential

Promises: without a format a text is read only when one of them fits; where more
do, Fault(CARD_KIND) names them.  em-32, em-24, em-3-5 and em-5-5 leave bits out
and give a weak credential.
"""

from protocols.card import credential
from protocols.errors import BAD_CREDENTIAL, CARD_KIND, Fault

_DIGITS = "0123456789"
_HEX = "0123456789ABCDEF"
_SEPARATORS = " :-."


def _all_of(text: str, letters: str) -> bool:
    for letter in text:
        if letter not in letters:
            return False
    return bool(text)


def _refuse(what: str):
    raise Fault(BAD_CREDENTIAL, what)


def _plain_hex(text: str) -> str:
    made = text.upper()
    for letter in _SEPARATORS:
        made = made.replace(letter, "")
    if not _all_of(made, _HEX) or len(made) % 2:
        _refuse("hex")
    return made


def _of_hex(digits: str) -> str:
    if len(digits) in (8, 14, 20):
        return credential.canonical("a:" + digits)
    if len(digits) == 10:
        return credential.canonical("em:" + digits)
    if len(digits) == 16 and digits[:2] == "88":
        return credential.of_uid(bytes.fromhex(digits))
    if len(digits) == 16 and digits[:2] == "E0":
        return credential.canonical("v:" + digits)
    return _refuse("length")


def _hex(text: str) -> str:
    return _of_hex(_plain_hex(text))


def _felica(text: str) -> str:
    return credential.canonical("f:" + _plain_hex(text))


def _hex_back(text: str) -> str:
    digits = _plain_hex(text)
    return _of_hex("".join(digits[at : at + 2] for at in range(len(digits) - 2, -1, -2)))


def _decimal(text: str, lengths, bits: int) -> int:
    if not _all_of(text, _DIGITS) or len(text) not in lengths:
        _refuse("digits")
    number = int(text)
    if number >> bits:
        _refuse("range")
    return number


def _dec(text: str) -> str:
    return credential.canonical("a:%08X" % _decimal(text, range(1, 11), 32))


def _dec_back(text: str) -> str:
    return _hex_back("%08X" % _decimal(text, range(1, 11), 32))


def _em_40(text: str) -> str:
    return credential.canonical("em:%010X" % _decimal(text, (12, 13), 40))


def _em_32(text: str) -> str:
    return credential.canonical("w34:%08X" % _decimal(text, (10,), 32))


def _em_24(text: str) -> str:
    return credential.canonical("w26:%06X" % _decimal(text, (8,), 24))


def _two(text: str, first_digits: int, first_bits: int) -> int:
    first, comma, second = text.replace(" ", "").partition(",")
    if not comma:
        _refuse("comma")
    return _decimal(first, (first_digits,), first_bits) << 16 | _decimal(second, (5,), 16)


def _em_3_5(text: str) -> str:
    return credential.canonical("w26:%06X" % _two(text, 3, 8))


def _em_5_5(text: str) -> str:
    return credential.canonical("w34:%08X" % _two(text, 5, 16))


_READERS = {
    "hex": _hex,
    "hex-back": _hex_back,
    "felica": _felica,
    "dec": _dec,
    "dec-back": _dec_back,
    "em-40": _em_40,
    "em-32": _em_32,
    "em-24": _em_24,
    "em-3-5": _em_3_5,
    "em-5-5": _em_5_5,
    "id": credential.canonical,
}
FORMATS = (
    "hex", "hex-back", "felica", "dec", "dec-back", "em-40", "em-32", "em-24", "em-3-5", "em-5-5", "id",
)  # fmt: skip
# Shorter decimals say too little to be taken for a serial number.
_DECIMAL_MIN = 8


class Printed:
    """`credential` canonical; `format` as it was read; `warnings`: words of WARNINGS."""

    def __init__(self, found: str, name: str) -> None:
        self.credential = found
        self.format = name
        self.warnings = warnings_of(found)


def warnings_of(found: str) -> tuple:
    """What a person should know about a credential before it names a pupil."""
    made = []
    if credential.is_weak(found):
        made.append("lossy")
    if credential.is_random(found):
        made.append("random")
    if not credential.is_proof(found):
        made.append("clonable")
    return tuple(made)


def fitting(text: str) -> list:
    """The names of the formats that this text may be in."""
    found = []
    for name in FORMATS:
        if name in ("dec", "dec-back") and len(text) < _DECIMAL_MIN:
            continue
        try:
            _READERS[name](text)
        except Fault:
            continue
        found.append(name)
    return found


def parse(text: str, name: str = "") -> Printed:
    """Read a printed number in a format, or in the only one that fits.

    Fault(BAD_CREDENTIAL) when none fits or the named one does not;
    Fault(CARD_KIND, "ambiguous", the formats) when several could be meant.
    """
    text = text.strip()
    if name:
        if name not in _READERS:
            raise Fault(BAD_CREDENTIAL, "format", name)
        return Printed(_READERS[name](text), name)
    names = fitting(text)
    if not names:
        raise Fault(BAD_CREDENTIAL, "number")
    likely = [each for each in names if not _is_unlikely(text, each, names)]
    if len(likely) != 1:
        raise Fault(CARD_KIND, "ambiguous", " ".join(names))
    return Printed(_READERS[likely[0]](text), likely[0])


def _is_unlikely(text: str, name: str, names: list) -> bool:
    """Whether a format is meant only when it is asked for by name.

    Hex is written in the order on air, unless turned round it begins with the E0
    of ISO 15693, whose readers print it either way; and with E0 in front it is
    that standard's number and no IDm.
    """
    if name == "felica":
        return "hex" in names
    if name != "hex-back":
        return False
    return "hex" in names or credential.scheme_of(_hex_back(text)) != "v"
