"""How a board reads cards: the kind of its readers, and the school's card keys of its own role.

Promises: only a board whose provisioning names a reader or keys loads this; the keys go to the proof of cards
and into no text.
"""

from firmware.hal.board import CANTEEN, GATE
from protocols.errors import STORAGE_MISSING, Fault

# VIRTUAL has no chip; over the three behind it a card can prove itself.
VIRTUAL = "virtual"
MFRC522 = "mfrc522"
PN532_SPI = "pn532_spi"
PN532_SERIAL = "pn532_serial"
WIEGAND = "wiegand"
OSDP = "osdp"
PROVING = (MFRC522, PN532_SPI, PN532_SERIAL)
_KINDS = PROVING + (VIRTUAL, WIEGAND, OSDP)
# Whose keys a device may hold, as protocols/card/application.py numbers them, and how many versions of them.
_ROLES = {GATE: 1, CANTEEN: 2}
_VERSIONS_MAX = 2
_KEY_SIZE = 16


class Reading:
    """`kind`: a word of the list above; `is_line`: one reader that looks to no side, else "in" and "out".

    `is_reversed`: the readers say serial numbers from their last byte; `osdp_key`, `osdp_address`:
    of OSDP readers; `role`: 1 gates, 2 canteen; `keys`: (role, version, 16 bytes) of the own role,
    at most two versions, none where cards are known by number.  Fault(STORAGE_MISSING) names what cannot be.
    """

    def __init__(
        self, device_kind: str, kind=VIRTUAL, is_reversed=False, osdp_key=b"", osdp_address=0, keys=()
    ):
        if kind not in _KINDS or len(osdp_key) not in (0, _KEY_SIZE):
            raise Fault(STORAGE_MISSING, "provision", "reader")
        self.kind = kind
        self.is_line = device_kind == CANTEEN
        self.is_reversed = is_reversed
        self.osdp_key = osdp_key
        self.osdp_address = osdp_address
        self.role = _ROLES[device_kind]
        self._masters = {version: master for _role, version, master in keys}
        if len(self._masters) != len(keys) or len(keys) > _VERSIONS_MAX:
            raise Fault(STORAGE_MISSING, "provision", "versions of card keys")
        for role, version, master in keys:
            if role != self.role or not 0 < version < 256 or len(master) != _KEY_SIZE:
                raise Fault(STORAGE_MISSING, "provision", "card keys")

    def __repr__(self) -> str:
        # A key is never printed, not even by accident.
        return "Reading(%s)" % self.kind

    @property
    def is_proving(self) -> bool:
        """Whether cards can prove themselves here: the reader hands talks on, and there is a key."""
        return self.kind in PROVING and bool(self._masters)

    def master_of(self, role: int, version: int):
        """The master key of a version that is in force, 16 bytes, or None."""
        return self._masters.get(version) if role == self.role else None


def read(values: dict) -> Reading:
    """The Reading of a provisioning record's values (docs/protocol.md); Fault(STORAGE_MISSING)."""
    try:
        reader = values.get("reader", {})
        keys = [
            (each["role"], each["version"], bytes.fromhex(each["key"]))
            for each in values.get("card_keys", ())
        ]
        return Reading(
            values["kind"],
            reader.get("kind", VIRTUAL),
            reader.get("uid_reversed", False),
            bytes.fromhex(reader.get("osdp_key", "")),
            reader.get("osdp_address", 0),
            keys,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        # The values are secrets: no more is said.
        raise Fault(STORAGE_MISSING, "provision", "reader or card keys")  # noqa: B904
