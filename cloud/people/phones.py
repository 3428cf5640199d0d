"""Phones as people write them, to E.164 as the cloud keeps them.

Promises: one spelling for one phone, `+` and 8 to 15 digits.  Russian habits
are understood: `8 989 ...` and a bare mobile number are `+7 989 ...`.
Leaves the question whether the number is in use to the first message sent there.
Only lengths and first digits are judged: lists of prefixes that are in use
change every month, and a mother with a new number must not be turned away.
"""

_SEPARATORS = " \t\u00a0\u202f\u2009-\u2010\u2011\u2012\u2013\u2014.()/"
_DIGITS = "0123456789"
_RUSSIAN_AREA_FIRST = "3456789"
# Ten bare digits with another first one may be `8 ...` or `7 ...` that lost a digit.
_MOBILE_FIRST = "9"
_LENGTH_MIN, _LENGTH_MAX = 8, 15


class NoPhone(ValueError):
    """A text is no phone.  Carries the reason, never the text."""


def normal_phone(text: str) -> str:
    """E.164 of a phone, such as `+79899149256` for `8 (989) 914-92-56`; NoPhone says what is wrong.

    A number without `+` is Russian; with `+` any country is taken.
    """
    kept = "".join(character for character in text.strip() if character not in _SEPARATORS)
    international = kept.startswith("+")
    digits = kept.removeprefix("+")
    if not digits:
        raise NoPhone("empty")
    if any(character not in _DIGITS for character in digits):
        raise NoPhone("something other than digits")
    if not international:
        digits = _with_country(digits)
    if digits[0] == "0":
        raise NoPhone("no country starts with 0")
    if not _LENGTH_MIN <= len(digits) <= _LENGTH_MAX:
        raise NoPhone(f"{len(digits)} digits")
    if digits[0] == "7" and (len(digits) != 11 or digits[1] not in _RUSSIAN_AREA_FIRST):
        raise NoPhone("no number of country 7")
    return "+" + digits


def _with_country(digits: str) -> str:
    if len(digits) == 11 and digits[0] in "78":
        return "7" + digits[1:]
    if len(digits) == 10 and digits[0] == _MOBILE_FIRST:
        return "7" + digits
    raise NoPhone("neither +country nor a Russian number of 11 digits")
