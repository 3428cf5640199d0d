"""The school's settings on a device: kept on littlefs, their version in the journal.

Promises: a damaged or older file than was ever applied is not used; then the
device goes on with the defaults below, which sell nothing and open for known
cards.
"""

import struct
from binascii import crc32

from protocols.errors import Fault
from protocols.wire.messages import Settings, unpack_settings

_NAME = "settings"
_NEW = "settings.new"

DEFAULTS = Settings(0, 0, 3000, 400, 5000, 0, 0, 0, 0xFFFF, 0, ())
MINUTES_PER_DAY = 1440


class SettingsStore:
    """`current`: the Settings in force."""

    def __init__(self, storage) -> None:
        self._storage = storage
        self.current = DEFAULTS

    def open(self, version_min: int) -> None:
        """Use the stored settings unless they are older than `version_min`."""
        self.current = DEFAULTS
        if not self._storage.exists(_NAME):
            return
        with self._storage.open(_NAME, "rb") as file:
            raw = file.read()
        if len(raw) < 4 or struct.unpack_from("<I", raw, len(raw) - 4)[0] != crc32(raw[:-4]):
            return
        try:
            found = unpack_settings(raw[:-4])
        except Fault:
            return
        if found.version >= version_min:
            self.current = found

    def keep(self, body: bytes, settings: Settings) -> None:
        """Store the body of a SETTINGS message and use it."""
        with self._storage.open(_NEW, "wb") as file:
            file.write(body)
            file.write(struct.pack("<I", crc32(body)))
        self._storage.replace(_NEW, _NAME)
        self.current = settings


def item_at(settings: Settings, utc: int):
    """The MenuItem on sale at a moment, or None; the first match of the menu wins."""
    minute = (utc // 60 + settings.zone_minutes) % MINUTES_PER_DAY
    for item in settings.menu:
        if item.from_minute <= minute <= item.to_minute:
            return item
    return None


def calendar_day(settings: Settings, utc: int) -> int:
    """The day of a moment, or the nearest one of the school's calendar."""
    return min(max(day_at(settings, utc), settings.first_day), settings.last_day)


def day_at(settings: Settings, utc: int) -> int:
    """Days since 1970-01-01 in school time."""
    return (utc // 60 + settings.zone_minutes) // MINUTES_PER_DAY
