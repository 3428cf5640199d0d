"""The prices that devices of a school were ever told, and which goods are hot meals, kept between batches."""

from sqlalchemy import Connection

from cloud.ingest import store
from cloud.meals import service as meals


class Prices:
    """What devices may sell at, by school; read again when the school's settings have a new version."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, set[tuple[int, int]]]] = {}
        self._hot: dict[int, tuple[int, dict[int, int]]] = {}

    def hot(self, conn: Connection, school_id: int, version: int) -> dict[int, int]:
        """good_id to the number of the hot meal that it is."""
        known = self._hot.get(school_id)
        if known is None or known[0] != version:
            known = self._hot[school_id] = version, meals.hot_goods(conn, school_id)
        return known[1]

    def read(self, conn: Connection, school_id: int, version: int) -> set[tuple[int, int]]:
        """(good_id, price_minor) pairs."""
        known = self._known.get(school_id)
        if known is None or known[0] != version:
            known = self._known[school_id] = version, store.prices(conn, school_id)
        return known[1]
