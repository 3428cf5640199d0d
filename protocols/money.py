"""Money is an integer of minor units (kopecks).  This file turns it to text and back.

Leaves the look on a page (spaces, currency sign, language) to the page.
"""

from protocols.errors import BAD_MONEY, Fault

MAX_MINOR = 0x7FFFFFFF


def minor_from_text(text: str) -> int:
    """Minor units of a plain decimal such as `85`, `85.0`, `85.00`, `-3,50`.

    At most two decimals; raises Fault(BAD_MONEY) for anything else, also for
    an amount beyond the 32-bit range of a record.
    """
    digits = text.strip().replace(",", ".")
    sign = 1
    if digits[:1] in ("-", "\u2212"):
        sign, digits = -1, digits[1:]
    whole, point, part = digits.partition(".")
    if not _plain(whole) or (point and not _plain(part)) or len(part) > 2 or len(whole) > 8:
        raise Fault(BAD_MONEY, text.strip()[:20])
    minor = int(whole) * 100 + int((part + "00")[:2])
    if minor > MAX_MINOR:
        raise Fault(BAD_MONEY, text.strip()[:20], "range")
    return sign * minor


def text_from_minor(minor: int) -> str:
    """A plain decimal with two places: 8500 is `85.00`, -5 is `-0.05`."""
    magnitude = -minor if minor < 0 else minor
    return "%s%d.%02d" % ("-" if minor < 0 else "", magnitude // 100, magnitude % 100)


def _plain(digits: str) -> bool:
    """ASCII digits only: str.isdigit also takes other scripts' digits on CPython."""
    if not digits:
        return False
    for character in digits:
        if not "0" <= character <= "9":
            return False
    return True
