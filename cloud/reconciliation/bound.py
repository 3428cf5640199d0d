"""The printed bound: how much more than the purses hold could be spent, by device and in total, and why.

The theorem (docs/ledger.md): true debt <= slack + the exposure of the holders
that are lost, copied or rolled back; of one holder it is at most CAP for each
purse with any row, at most CAP_DEVICE in all.  Meal credit counts like money,
a benefit of a day that is not over like the dearest hot meal.  Each figure is what it would be
if that happened now, to that device or to all of them at once.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.devices import service as devices
from cloud.reconciliation import store
from protocols.ledger.record import benefit_bucket

LOST, COPIED, ROLLED_BACK, SLACK, RECOVERY = "lost", "copied", "rolled_back", "slack", "recovery"
ASSUMPTIONS = (SLACK, LOST, COPIED, ROLLED_BACK, RECOVERY)


class Exposure(NamedTuple):
    """One holder, minor units.

    `purses`: how many purses have placed money there at any time; `out_minor`: what
    it may still spend; `lost_minor`: what is at stake if it is lost, and for each
    copy of it; `rolled_back_minor`: if an older image of it sells again.
    """

    device_id: int
    label: str
    kind: str
    epoch: int
    status: str
    last_seen_at: int | None
    purses: int
    out_minor: int
    lost_minor: int
    rolled_back_minor: int


class Bound(NamedTuple):
    """The bound of a school.  `purses`: how many may buy."""

    rules: devices.MoneyRules
    purses: int
    recovering: bool
    devices: list[Exposure]

    @property
    def slack_minor(self) -> int:
        """What all purses together may go below zero with nothing broken: L of money and of meal credit."""
        return (self.rules.slack_minor + self.rules.credit_highest_minor) * self.purses

    @property
    def lost_minor(self) -> int:
        """What is at stake if every device is lost, or copied once, now."""
        return sum(one.lost_minor for one in self.devices)

    @property
    def rolled_back_minor(self) -> int:
        """What is at stake if an older image of every device sells again."""
        return sum(one.rolled_back_minor for one in self.devices)

    @property
    def total_minor(self) -> int:
        """The whole: slack, and the worst for every device at once."""
        return self.slack_minor + sum(max(one.lost_minor, one.rolled_back_minor) for one in self.devices)


def bound(conn: Connection, school_id: int) -> Bound:
    """The bound as things stand now."""
    rules = devices.money_rules(conn, school_id)
    recovering = store.is_recovering(conn, school_id)
    worth = devices.benefit_minor(conn, school_id)
    first = benefit_bucket(store.last_day(conn, school_id), 0)
    found_rows = store.exposures(conn, school_id, rules.cap_minor, worth, first)
    # What a restored database may have forgotten: any pupil's purse and meal credit, on any till.
    forgotten = store.pupils(conn, school_id) * (rules.cap_minor + rules.credit_highest_minor)
    rows = {(row.device_id, row.epoch): row for row in found_rows}
    found = [
        _exposure(holder, rows.get((holder.device_id, holder.epoch)), rules, forgotten if recovering else 0)
        for holder in store.holders(conn, school_id)
        if holder.status != "closed" and holder.kind == "canteen"
    ]
    return Bound(rules, store.purses(conn, school_id), recovering, found)


def _exposure(holder: Any, row: Any, rules: devices.MoneyRules, forgotten: int) -> Exposure:
    purses, out, capped, ever = (0, 0, 0, 0)
    if row is not None:
        purses, out, capped, ever = row.purses, row.out, row.out_capped, row.ever_capped
    if forgotten:
        capped = ever = max(ever, forgotten)
    most = rules.cap_device_minor
    return Exposure(
        holder.device_id, holder.label, holder.kind, holder.epoch, holder.status, holder.last_seen_at,
        purses, out, min(capped, most), min(max(ever, capped), most),
    )  # fmt: skip
