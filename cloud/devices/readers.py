"""The card reader of a device: what it is, and what the device is handed for it.

Promises: a device that can ask a card for proof gets the keys of its own role and
no other's, at most the two versions that are in force; one that only hears numbers
gets none.  The key of an OSDP reader is made of the vault's own and never stored.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from cloud.cards import service as cards
from cloud.keys import Vault
from protocols.errors import FIELD_RANGE, Fault

KINDS = ("virtual", "mfrc522", "pn532_spi", "pn532_serial", "wiegand", "osdp")
_LOSSY = ("wiegand", "osdp")
_OSDP_ADDRESS_MAX = 126
_OSDP_KEY = 16


class Reader(NamedTuple):
    """`kind`: one of KINDS; `uid_reversed`: it says the last byte of a serial number first."""

    kind: str
    uid_reversed: bool = False
    osdp_address: int = 0

    @property
    def is_lossy(self) -> bool:
        """Whether it may leave a part of a card's number out."""
        return self.kind in _LOSSY


def asks_for_proof(reader: Reader | None) -> bool:
    """Whether a card that proves itself is asked to: a reader that only hands numbers on cannot ask."""
    return reader is None or not reader.is_lossy


def text(reader: Reader | None) -> str:
    """A reader as it is kept; Fault(FIELD_RANGE) for one that cannot be."""
    if reader is None:
        return "{}"
    if reader.kind not in KINDS:
        raise Fault(FIELD_RANGE, "reader.kind", "one of " + ", ".join(KINDS))
    if not 0 <= reader.osdp_address <= _OSDP_ADDRESS_MAX:
        raise Fault(FIELD_RANGE, "reader.osdp_address", f"0 to {_OSDP_ADDRESS_MAX}")
    if reader.osdp_address and reader.kind != "osdp":
        raise Fault(FIELD_RANGE, "reader.osdp_address", "only an OSDP reader has one")
    return json.dumps(reader._asdict(), sort_keys=True)


def kept(told: Mapping[str, Any]) -> Reader | None:
    """The reader of a device's row, None where nobody said which."""
    return Reader(**told) if told else None


def provision(
    vault: Vault, school_id: int, device_id: int, kind: str, reader: Reader | None
) -> dict[str, Any]:
    """What a provisioning record says of the reader and of card keys; nothing where no reader is known."""
    if reader is None:
        return {}
    told: dict[str, Any] = {"kind": reader.kind, "uid_reversed": reader.uid_reversed}
    if reader.kind == "osdp":
        place = struct.pack("<II", school_id, device_id)
        told["osdp_key"] = vault.mac("osdp reader", place)[:_OSDP_KEY].hex()
        told["osdp_address"] = reader.osdp_address
    if reader.is_lossy:
        return {"reader": told}
    keys = [
        {"role": one.role, "version": one.version, "key": one.key.hex()}
        for one in cards.for_device(vault, school_id, kind)
    ]
    return {"reader": told, "card_keys": keys}
