"""What kind of card lies there, asked of the card itself and not of its ATQA, SAK or ATR.

Promises: a kind that was not recognised is a plain number, which anybody can copy; nothing is written.
Source: NXP AN10833: types are told by GetVersion, since activation parameters can be set at will.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from protocols.card import application, credential, desfire, ntag424, tag
from protocols.card.application import Masters
from protocols.errors import CARD_ANSWER, CARD_REFUSES, Fault
from reader_host.pcsc.station import Card

PLAIN, DESFIRE, NTAG = "plain", "desfire", "ntag424"
NEW, BEGUN, ISSUED, FOREIGN = "new", "begun", "issued", "foreign"
RANDOM = "random"

_NXP = 0x04
_TYPE_DESFIRE, _TYPE_NTAG = 0x01, 0x04
_GENERATIONS = {0x00: "MF3ICD40", 0x01: "EV1", 0x12: "EV2", 0x33: "EV3"}


class Seen(NamedTuple):
    """A card as the desk sees it.

    `kind`: PLAIN, DESFIRE or NTAG; `name` for people; `shown`: the credential that it shows to everybody;
    `state`: NEW, BEGUN, ISSUED, FOREIGN, PLAIN for a card that can prove nothing, or RANDOM for one that
    shows another number at each tap; `proved`: the credential of an ISSUED one, else empty.
    """

    kind: str
    name: str
    shown: str
    state: str
    proved: str

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
        return Seen(DESFIRE, name, card.credential, state, proved)
    if version is not None and is_nxp and version.type == _TYPE_NTAG and _has_application(card):
        state, proved = card.hold(tag.state(card.uid, masters, random_bytes))
        return Seen(NTAG, "NTAG 424 DNA", card.credential, state, proved)
    return Seen(PLAIN, "", card.credential, PLAIN, "")


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
