"""What baskets brought to caterers, checked by an arithmetic of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation


def baskets_are_whole(sim: Simulation) -> Iterator[tuple[str, str]]:
    """I7: whoever wrote it, no basket brings a caterer anything but what its items come to, at a price of
    the menu."""
    statement = (
        "SELECT s.device_id, s.seq, s.amount, s.aux & 65535, count(i.seq),"
        " coalesce(sum((i.aux >> 16) * i.amount), 0),"
        " sum(CASE WHEN EXISTS (SELECT 1 FROM published_price p WHERE p.good_id = i.aux & 65535"
        " AND p.price_minor = i.amount) THEN 0 ELSE 1 END)"
        " FROM record s LEFT JOIN record i ON i.device_id = s.device_id AND i.epoch = s.epoch AND i.type = 5"
        " AND i.account_id = s.account_id AND i.seq >= s.seq - (s.aux & 65535) AND i.seq < s.seq"
        " WHERE s.type = 6 AND (s.flags & 1) = 0 AND s.refusal = 0 GROUP BY s.device_id, s.epoch, s.seq"
    )
    for device, seq, amount, count, items, price, unknown in sim.cloud.select(statement):
        if (amount, count) != (price, items) or (unknown and not sim.backups.archive_was_lost):
            text = f"sale {seq} takes {amount}, its {items} items of {count} come to {price}"
            yield "I7", f"device {device:08x}: the caterer got a basket that is none: {text}"
