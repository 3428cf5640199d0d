"""What kind of card lies there, asked of the card itself and not of its ATQA, SAK or ATR.

Promises: a kind that was not recognised is a plain number, which anybody can copy; nothing is written.
Source: NXP AN10833: types are told by GetVersion, since activation parameters can be set at will.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple

from protocols.card import application, credential, desfire, ntag424, tag
from protocols.card.application import Masters
from protocols.card.messaging import Open
from protocols.errors import CARD_ANSWER, CARD_REFUSES, FIELD_RANGE, Fault
from reader_host.pcsc.station import Card

PLAIN, DESFIRE, NTAG = "plain", "desfire", "ntag424"
NEW, BEGUN, ISSUED, FOREIGN = "new", "begun", "issued", "foreign"
RANDOM = "random"
CURRENT, OLD, NEWER = "current", "old", "newer"

_NXP = 0x04
_TYPE_DESFIRE, _TYPE_NTAG = 0x01, 0x04
_GENERATIONS = {0x00: "MF3ICD40", 0x01: "EV1", 0x12: "EV2", 0x33: "EV3"}


Talk = Generator[bytes, bytes, list[tuple[int, int]]]


class Seen(NamedTuple):
    """A card as the desk sees it.

    `kind`: PLAIN, DESFIRE or NTAG; `name` for people; `shown`: the credential that it shows to everybody;
    `state`: NEW, BEGUN, ISSUED, FOREIGN, PLAIN for a card that can prove nothing, or RANDOM for one that
    shows another number at each tap; `proved`: the credential of an ISSUED one, else empty;
    `keys` of an ISSUED one: CURRENT, OLD where one of them is of an older version than the desk's newest, or
    NEWER where the desk does not have one; empty where the desk has no such keys at all.
    """

    kind: str
    name: str
    shown: str
    state: str
    proved: str
    keys: str = ""

    @property
    def is_clonable(self) -> bool:
        """Whether what this card says today could be said by a copy."""
        return self.state != ISSUED

    @property
    def credential(self) -> str:
        """What names its owner: what it proved, else what it shows."""
        return self.proved or self.shown


def look(card: Card, masters: Masters, random_bytes: Callable[[int], bytes]) -> Seen:
    """Look at the card; Faults of the reader and of a card that goes away come through."""
    if credential.is_random(card.credential):
        # No key can be made of such a number, so nothing further is asked.
        return Seen(PLAIN, "", card.credential, RANDOM, "")
    _leave_session(card)
    version = _version(card)
    is_nxp = version is not None and version.vendor == _NXP
    if version is not None and is_nxp and version.type == _TYPE_DESFIRE:
        state, proved = card.hold(application.state(card.uid, masters, random_bytes))
        name = f"MIFARE DESFire {_GENERATIONS.get(version.major, '')}".strip()
        keys = _age(masters, card.hold(_desfire_versions())) if state == ISSUED else ""
        return Seen(DESFIRE, name, card.credential, state, proved, keys)
    if version is not None and is_nxp and version.type == _TYPE_NTAG and _has_application(card):
        state, proved = card.hold(tag.state(card.uid, masters, random_bytes))
        keys = _age(masters, card.hold(_tag_versions())) if state == ISSUED else ""
        return Seen(NTAG, "NTAG 424 DNA", card.credential, state, proved, keys)
    return Seen(PLAIN, "", card.credential, PLAIN, "")


def _desfire_versions() -> Talk:
    """A talk: [(role, version)] of every key on an issued card; nothing is proved by it."""
    yield from desfire.select(application.APPLICATION)
    held = []
    for role in application.ROLES:
        version = yield from desfire.key_version(Open(), role)
        held.append((role, version))
    yield from desfire.select(desfire.CARD_LEVEL)
    version = yield from desfire.key_version(Open(), 0)
    return [*held, (application.CARD, version)]


def _tag_versions() -> Talk:
    yield from ntag424.select()
    held = []
    for number, role in ((application.DESK, application.DESK), *tag.KEYS):
        version = yield from desfire.key_version(Open(), number)
        held.append((role, version))
    return held


def _age(masters: Masters, held: list[tuple[int, int]]) -> str:
    try:
        newest = {role: masters.newest(role)[0] for role, _version in held}
    except Fault as fault:
        if fault.code != FIELD_RANGE:
            raise
        # Keys of a kind of card that this desk does not write.
        return ""
    if any(version and masters.of(role, version) is None for role, version in held):
        return NEWER
    return OLD if any(version < newest[role] for role, version in held) else CURRENT


def _leave_session(card: Card) -> None:
    """A card that was asked before may be in a session, in which a bare GetVersion is an error."""
    try:
        card.hold(desfire.select(desfire.CARD_LEVEL))
    except Fault as fault:
        if fault.code not in (CARD_REFUSES, CARD_ANSWER):
            raise


def _version(card: Card) -> desfire.Version | None:
    try:
        version: desfire.Version = card.hold(desfire.get_version())
    except Fault as fault:
        if fault.code not in (CARD_REFUSES, CARD_ANSWER):
            raise
        return None
    return version


def _has_application(card: Card) -> bool:
    try:
        card.hold(ntag424.select())
    except Fault as fault:
        if not tag.is_absent(fault):
            raise
        return False
    return True
