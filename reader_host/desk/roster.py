"""Who goes to the school: what the cloud told the desk, kept sealed for some days and then forgotten.

Promises: a copy that is older than the days it may live is removed before it is read; a list that is none is
refused whole, and the one before stays.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from reader_host.desk.seal import Seal

FILE = "roster.sealed"
_DAY_S = 86400


class BadRoster(Exception):
    """What the cloud sent is no list of pupils."""


class Pupil(NamedTuple):
    """A pupil by the school's own number; `cards`: how many the cloud knew of."""

    student: str
    name: str
    class_name: str
    cards: int


class Roster(NamedTuple):
    """All pupils by class and name, as the cloud knew them at `at` (UTC seconds)."""

    pupils: tuple[Pupil, ...]
    at: int

    def pupil(self, student: str) -> Pupil | None:
        """The pupil of that number."""
        return next((each for each in self.pupils if each.student == student), None)

    def classes(self) -> dict[str, list[Pupil]]:
        """Pupils by class; classes in the order of years: 2Б before 10А."""
        found: dict[str, list[Pupil]] = {}
        for each in sorted(self.pupils, key=lambda each: (_order(each.class_name), each.name)):
            found.setdefault(each.class_name, []).append(each)
        return found


EMPTY = Roster((), 0)


def _order(class_name: str) -> tuple[int, str]:
    year = "".join(each for each in class_name[:2] if each.isdigit())
    return int(year or 0), class_name


def parse(told: Any, at: int) -> Roster:
    """The roster in an answer of the cloud: `{"pupils": [{student, name, class, cards}]}`."""
    try:
        pupils = tuple(
            Pupil(str(each["student"]), str(each["name"]), str(each["class"]), int(each["cards"]))
            for each in told["pupils"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadRoster("not a list of pupils") from error
    return Roster(pupils, at)


def keep(seal: Seal, roster: Roster) -> None:
    """Replace the sealed copy."""
    pupils = [{"student": p.student, "name": p.name, "class": p.class_name, "cards": p.cards}
              for p in roster.pupils]  # fmt: skip
    seal.write(FILE, json.dumps({"at": roster.at, "pupils": pupils}).encode())


def kept(seal: Seal, now: int, days: int) -> Roster:
    """The sealed copy while it is not too old; else it is removed, and the roster is empty."""
    held = seal.read(FILE)
    if held is None:
        return EMPTY
    told = json.loads(held)
    if now - told["at"] > days * _DAY_S:
        seal.forget(FILE)
        return EMPTY
    return parse(told, told["at"])
