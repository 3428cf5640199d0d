"""The keys of one school at the desk: the master keys of its cards and the key of its references.

Promises: taken from the files that the cloud wrote for this desk, then kept sealed; a version that was taken
in stays, so that a card begun under it can be opened; no key is in a repr,
a message or a fault.  A file that is none is refused whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from protocols.card import credential
from protocols.card.application import CANTEEN, CARD, DESK, GATE, Masters
from protocols.card.tag import META_ROLE, SUN_ROLE
from reader_host.desk.seal import Seal

FILE = "keys.sealed"
_ROLES = range(META_ROLE + 1)
_DESFIRE = (DESK, GATE, CANTEEN, CARD)
_NTAG = (DESK, GATE, CANTEEN, SUN_ROLE, META_ROLE)
_VERSIONS = range(1, 256)
_MASTER = 16
_REFERENCE_MIN = 16


class BadKeys(Exception):
    """The file of keys is none; says which part, and nothing of what stands there."""


class DeskKeys:
    """`school` as eight hex digits, `masters` for cards, `token` for the cloud or empty."""

    def __init__(self, text: str) -> None:
        try:
            told = json.loads(text)
            self.school = _hex(told, "school", 4).hex()
            self._reference = _hex(told, "reference_key")
            known = dict(_master(each) for each in told["masters"])
            self.token = str(told.get("token", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadKeys(f"not a file of keys: {type(error).__name__}") from None
        if len(self._reference) < _REFERENCE_MIN:
            raise BadKeys("reference_key is too short")
        self._roles = {role for role, _version in known}
        if missing := [role for role in _DESFIRE if role not in self._roles]:
            raise BadKeys(f"no master key for role {missing[0]}")
        self.masters = Masters(known)

    def __repr__(self) -> str:
        return f"DeskKeys({self.school})"

    @property
    def can_issue_tags(self) -> bool:
        """Whether there is a master key for every key of an NTAG 424."""
        return all(role in self._roles for role in _NTAG)

    def reference(self, canonical: str) -> str:
        """32 hex digits that stand for a credential in this school."""
        return credential.card_ref(self._reference, canonical).hex()


def _hex(told: dict[str, Any], name: str, size: int = -1) -> bytes:
    value = bytes.fromhex(told[name])
    if size >= 0 and len(value) != size:
        raise ValueError(name)
    return value


def _master(told: dict[str, Any]) -> tuple[tuple[int, int], bytes]:
    role, version = told["role"], told["version"]
    if role not in _ROLES or version not in _VERSIONS:
        raise ValueError("role or version")
    return (role, version), _hex(told, "key", _MASTER)


def take_in(seal: Seal, path: Path) -> DeskKeys:
    """Take the keys of a file into the sealed store; BadKeys leaves what was there as it was."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeys(f"{path}: cannot be read") from error
    keys, held = DeskKeys(text), seal.read(FILE)
    if held is not None and DeskKeys(held.decode()).school == keys.school:
        text = json.dumps(_with_earlier(json.loads(text), json.loads(held)))
        keys = DeskKeys(text)
    seal.write(FILE, text.encode())
    return keys


def _with_earlier(told: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """A new file of the same school: the desk stays who it is, and opens every card that it could open.

    A card may carry any version that this desk has ever written, finished or not.
    """
    masters = {(each["role"], each["version"]): each for each in told["masters"]}
    for each in held["masters"]:
        place = each["role"], each["version"]
        if bytes.fromhex(masters.setdefault(place, each)["key"]) != bytes.fromhex(each["key"]):
            raise BadKeys(f"version {place[1]} of role {place[0]} is another key than this desk writes with")
    return {
        **told,
        "masters": [masters[place] for place in sorted(masters)],
        "token": told.get("token") or held.get("token", ""),
    }


def kept(seal: Seal) -> DeskKeys | None:
    """The keys that were taken in before, or None."""
    held = seal.read(FILE)
    return None if held is None else DeskKeys(held.decode())
