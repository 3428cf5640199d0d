"""School classes as rosters spell them, to the one name the cloud keeps: `2Б`.

Promises: `2Б`, `2 б`, `2-Б` and `2 «Б»` are one class, also when a Latin letter
was typed that looks like the Cyrillic one.  A text of another shape is no
class: year 1 to 11 and one or two letters.  Leaves to the importer whether a
class of the right shape is one of this school.
"""

import re

_SHAPE = re.compile(r"(1[01]|[1-9])([А-ЯЁ]{1,2})")
_DECORATION = re.compile(r"[\s\u00a0\"'«»“”„-]")
# Signs that begin no word and so name no class in any school.
_NO_CLASS = "ЪЫЬ"
_LOOK_ALIKES = str.maketrans("ABCEHKMOPTXY", "АВСЕНКМОРТХУ")


class NoClass(ValueError):
    """A text is no name of a class.  Carries no text: it may be a name that slipped into the wrong column."""


def normal_class(text: str) -> str:
    """The kept name of a class, or NoClass."""
    name = _DECORATION.sub("", text).upper().translate(_LOOK_ALIKES)
    shape = _SHAPE.fullmatch(name)
    if shape is None or any(letter in _NO_CLASS for letter in shape[2]):
        raise NoClass("not a year from 1 to 11 with a letter")
    return name


def by_year(name: str) -> tuple[int, str]:
    """Sorts kept names as a school does: 9В before 10А."""
    letters = name.lstrip("0123456789")
    return int(name.removesuffix(letters)), letters
