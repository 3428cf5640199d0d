"""What devices of a school were told: every price ever, the calendar, which goods are hot meals."""

from typing import NamedTuple

from sqlalchemy import Connection

from cloud import archive
from cloud.devices import service as devices
from cloud.ingest import store
from cloud.meals import service as meals
from protocols.wire.messages import Settings


class Published(NamedTuple):
    """`prices`: (good_id, price_minor) pairs; a device's day lies between `first_day` and `last_day`."""

    prices: set[tuple[int, int]]
    first_day: int
    last_day: int


class Prices:
    """What devices may sell at, by school; read again when the school's settings have a new version."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Published]] = {}
        self._hot: dict[int, tuple[int, dict[int, int]]] = {}
        self._archived: dict[int, int] = {}
        self._frames: list[archive.Prices] = []

    def tell(self, school_id: int, settings: Settings, now: int) -> None:
        """A device is told of these settings: their prices must be in the archive before; once is enough."""
        if settings.menu and self._archived.get(school_id) != settings.version:
            self._archived[school_id] = settings.version
            rows = sorted({(item.good, item.price) for item in settings.menu})
            self._frames.append(archive.Prices(school_id, settings.version, now, tuple(rows)))

    def frames(self) -> list[archive.Prices]:
        """What the archive must take with this batch."""
        frames, self._frames = self._frames, []
        return frames

    def tell_again(self, conn: Connection, told: archive.Prices) -> None:
        """Prices of the archive: a database that was set back may have forgotten them."""
        devices.keep_prices(conn, told.school_id, told.version, told.told_at, told.rows)
        self._known.pop(told.school_id, None)

    def hot(self, conn: Connection, school_id: int, version: int) -> dict[int, int]:
        """good_id to the number of the hot meal that it is."""
        known = self._hot.get(school_id)
        if known is None or known[0] != version:
            known = self._hot[school_id] = version, meals.hot_goods(conn, school_id)
        return known[1]

    def read(self, conn: Connection, school_id: int, version: int) -> Published:
        """What was published up to a version."""
        known = self._known.get(school_id)
        if known is None or known[0] != version:
            found = Published(store.prices(conn, school_id), *devices.calendar(conn, school_id))
            known = self._known[school_id] = version, found
        return known[1]
