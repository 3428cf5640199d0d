"""The master keys of a school's cards, by role and version: every card's own keys are made of them.

Promises: a key is made at its first use and kept sealed; `rotate` adds a version
and both live until the older is retired; a retired version is given to no device
any more and stays with the desk, which must open a card under it to renew it.
Which version is retired stands beside the keys, so that a restored database
cannot bring one back.  Leaves the keys of one card to protocols/card.
"""

from typing import NamedTuple

from cloud.keys import Vault
from protocols.card import application, tag
from protocols.ids import hex8

KEY_SIZE = 16
VERSION_MAX = 255
ROLES = {
    "desk": application.DESK,
    "gate": application.GATE,
    "canteen": application.CANTEEN,
    "card": application.CARD,
    "sun": tag.SUN_ROLE,
    "meta": tag.META_ROLE,
}
ROLE_OF_KIND = {"gate": application.GATE, "canteen": application.CANTEEN}
LIVE_MAX = 2
_RETIRED = ".retired"


class MasterRefused(ValueError):
    """This cannot be done with this version of a key; carries the reason."""


class Version(NamedTuple):
    """One master key without the key.  `is_retired`: no device gets it."""

    role: str
    version: int
    is_retired: bool


class Master(NamedTuple):
    """One master key; `role` as protocols/card numbers it.  Its repr shows no key."""

    role: int
    version: int
    key: bytes

    def __repr__(self) -> str:
        return f"Master(role={self.role}, version={self.version})"


def versions(vault: Vault, school_id: int) -> list[Version]:
    """Every version that there is, by role, the oldest first."""
    found = []
    for role in ROLES:
        prefix = _name(school_id, role, None)
        names = set(vault.names(prefix))
        numbers = sorted(int(name.removeprefix(prefix)) for name in names if not name.endswith(_RETIRED))
        found += [
            Version(role, number, _name(school_id, role, number) + _RETIRED in names) for number in numbers
        ]
    return found


def make_all(vault: Vault, school_id: int) -> None:
    """Version 1 of every role that has none."""
    there = {each.role for each in versions(vault, school_id)}
    for role in ROLES:
        if role not in there:
            _key(vault, school_id, role, 1)


def rotate(vault: Vault, school_id: int, role: str) -> int:
    """Add a version and return its number; MasterRefused while two live already."""
    make_all(vault, school_id)
    known = [each for each in versions(vault, school_id) if each.role == role]
    live = [each.version for each in known if not each.is_retired]
    if len(live) >= LIVE_MAX:
        raise MasterRefused(
            f"versions {live[0]} and {live[-1]} of {role} are in force: retire {live[0]} first"
        )
    version = known[-1].version + 1
    if version > VERSION_MAX:
        raise MasterRefused(f"{role} has had {VERSION_MAX} versions")
    _key(vault, school_id, role, version)
    return version


def retire(vault: Vault, school_id: int, role: str, version: int) -> None:
    """Give a version to no device any more; MasterRefused for the newest, and for one that there is not."""
    known = {each.version: each for each in versions(vault, school_id) if each.role == role}
    if version not in known:
        raise MasterRefused(f"{role} has no version {version}")
    if version == max(known):
        raise MasterRefused(f"version {version} of {role} is the newest: rotate first")
    vault.mark(_name(school_id, role, version) + _RETIRED)


def for_device(vault: Vault, school_id: int, kind: str) -> list[Master]:
    """What a gate or a canteen may hold: the versions of its own role that are in force, the oldest first."""
    make_all(vault, school_id)
    own = ROLE_OF_KIND[kind]
    return [
        Master(own, each.version, _key(vault, school_id, each.role, each.version))
        for each in versions(vault, school_id)
        if ROLES[each.role] == own and not each.is_retired
    ]


def for_desk(vault: Vault, school_id: int) -> list[Master]:
    """Every version of every role, retired ones too: the desk renews and wipes cards under them."""
    make_all(vault, school_id)
    return [
        Master(ROLES[each.role], each.version, _key(vault, school_id, each.role, each.version))
        for each in versions(vault, school_id)
    ]


def _key(vault: Vault, school_id: int, role: str, version: int) -> bytes:
    context = f"card/{hex8(school_id)}/{role}/{version}".encode()
    return vault.kept_key(_name(school_id, role, version), context, KEY_SIZE)


def _name(school_id: int, role: str, version: int | None) -> str:
    return f"card-{hex8(school_id)}-{role}-{'' if version is None else version}"
