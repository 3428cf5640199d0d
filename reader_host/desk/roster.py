"""Who goes to the school and which cards there are: what the cloud told the desk, sealed, then forgotten.

Promises: a copy that is older than the days it may live is removed before it is read; a list that is none is
refused whole, and the one before stays; cards are known by the references that devices hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from reader_host.desk.seal import Seal

FILE = "roster.sealed"
_DAY_S = 86400


class BadRoster(Exception):
    """What the cloud sent is no list of pupils and cards."""


class Pupil(NamedTuple):
    """A pupil by the school's own number; `cards`: how many the cloud knew of."""

    student: str
    name: str
    class_name: str
    cards: int


class Known(NamedTuple):
    """A card as the cloud knew it.

    `ref`: 16 hex digits, as devices hold it; `student`: whose it is, empty where the owner has left; `until`:
    the last day of a temporary card as YYYY-MM-DD, else empty; `at`: UTC seconds of its giving;
    `key_version`: 0 for a card that can be copied; `bare`: the same of the serial number of a card that
    proves itself; `parts`: of what is left of its number where a reader leaves a part out.
    """

    ref: str
    student: str
    kind: str
    is_blocked: bool
    until: str
    at: int
    key_version: int
    bare: tuple[str, ...]
    parts: tuple[str, ...]


_NONE: Mapping[str, Any] = MappingProxyType({})


class Roster(NamedTuple):
    """All pupils and cards as the cloud knew them at `at` (UTC seconds, 0: nobody told).

    `cards` by their reference; `bare` and `parts`: from such a reference to that of the card; `tag`: what the
    cloud calls this list.
    """

    pupils: tuple[Pupil, ...]
    at: int
    cards: Mapping[str, Known] = _NONE
    bare: Mapping[str, str] = _NONE
    parts: Mapping[str, str] = _NONE
    tag: str = ""

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


def parse(told: Any, at: int, tag: str = "") -> Roster:
    """The roster in an answer of the cloud: `{"pupils": [...], "cards": [...]}`; BadRoster."""
    try:
        pupils = tuple(
            Pupil(str(each["student"]), str(each["name"]), str(each["class"]), int(each["cards"]))
            for each in told["pupils"]
        )
        cards = [_card(each) for each in told["cards"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadRoster("not a list of pupils and cards") from error
    return Roster(
        pupils, at, {each.ref: each for each in cards},
        {ref: each.ref for each in cards for ref in each.bare},
        {ref: each.ref for each in cards for ref in each.parts}, tag,
    )  # fmt: skip


def _card(told: Any) -> Known:
    if not isinstance(told["blocked"], bool):
        raise ValueError("blocked")
    return Known(
        _reference(told["ref"]), str(told["student"]), str(told["kind"]), told["blocked"],
        str(told["until"] or ""), int(told["at"]), int(told["key_version"]),
        tuple(_reference(each) for each in told["bare"]), tuple(_reference(each) for each in told["parts"]),
    )  # fmt: skip


def _reference(told: str) -> str:
    if len(bytes.fromhex(told)) != 8:
        raise ValueError("reference")
    return told


def keep(seal: Seal, roster: Roster) -> None:
    """Replace the sealed copy."""
    pupils = [{"student": p.student, "name": p.name, "class": p.class_name, "cards": p.cards}
              for p in roster.pupils]  # fmt: skip
    cards = [{**card._asdict(), "blocked": card.is_blocked} for card in roster.cards.values()]
    whole = {"at": roster.at, "tag": roster.tag, "pupils": pupils, "cards": cards}
    seal.write(FILE, json.dumps(whole).encode())


def kept(seal: Seal, now: int, days: int) -> Roster:
    """The sealed copy while it is not too old; else it is removed, and the roster is empty."""
    held = seal.read(FILE)
    if held is None:
        return EMPTY
    told = json.loads(held)
    try:
        found = parse(told, told["at"], told["tag"])
    except (BadRoster, KeyError):
        # Of a program that kept less.
        found = EMPTY
    if not found.at or now - found.at > days * _DAY_S:
        seal.forget(FILE)
        return EMPTY
    return found
