"""What a school chooses for its devices: times, caps, whether verdicts have a fixed moment; and the menu.

Promises: values out of range are refused by name before anything is written; a
version is never given to two different settings.  Prices that were ever sent
stay known, since a device that was offline sells by the menu it had.
Defaults are a school's: verdict at a fixed moment of 400 ms, strict money.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.db import lock_school
from cloud.devices import store
from cloud.devices.calendar import calendar, day_of, extended, schools_to_extend
from cloud.meals import service as meals
from protocols.errors import FIELD_RANGE, Fault
from protocols.ledger.parent import CANTEEN, GATE
from protocols.ledger.record import MEAL_CREDIT, MONEY
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE, MenuItem, Settings, pack_settings

KINDS = (GATE, CANTEEN)

_OF_KIND: dict[str, int | bool] = {
    "repeat_ms": 3000,
    "verdict_ms": 400,
    "passage_ms": 5000,
    "fixed_moment": True,
    "offline_at_once": True,
}
_OF_MONEY: dict[str, int | bool] = {
    # The most that one till may hold of one purse and of all purses; the slack L of each purse, and the L of
    # meal credit: what a pupil may owe for hot meals, best the price of one or two, 0 for a school without.
    "cap_minor": 50_000,
    "cap_device_minor": 20_000_000,
    "slack_minor": 0,
    "credit_minor": 0,
    # What the cards of one account that can be copied may spend on one line in a day; 0: no limit.
    "weak_day_minor": 30_000,
}
_HIGHEST_CREDIT = "credit_highest_minor"


class MoneyRules(NamedTuple):
    """Minor units: CAP per key, CAP_DEVICE per holder, slack per purse, meal credit per account.

    `weak_day_minor`: what the copyable cards of one account may spend on one line in a day, 0: all.
    `credit_highest_minor`: the highest meal credit that the school has ever allowed: rights that are
    out stay out when it allows less.
    """

    cap_minor: int
    cap_device_minor: int
    slack_minor: int
    credit_minor: int
    weak_day_minor: int
    credit_highest_minor: int

    def slack(self, bucket: int) -> int:
        """L of a key of this bucket: how far it may go below zero by new grants."""
        if bucket == MONEY:
            return self.slack_minor
        return min(self.credit_minor, self.cap_minor) if bucket == MEAL_CREDIT else 0


def money_rules(conn: Connection, school_id: int) -> MoneyRules:
    """The bounds of placement in a school."""
    chosen = _chosen(store.school(conn, school_id)).get("money", {})
    values = {name: int(chosen.get(name, value)) for name, value in _OF_MONEY.items()}
    highest = max(values["credit_minor"], int(chosen.get(_HIGHEST_CREDIT, 0)))
    return MoneyRules(**values, credit_highest_minor=highest)


def benefit_minor(conn: Connection, school_id: int) -> int:
    """What one benefit is worth at most: the dearest hot meal on the menu, kept back or not."""
    lines = meals.whole_menu(conn, school_id)
    return max((good.price_minor for good in lines if meals.hot_meal(good.meal)), default=0)


def settings_for(conn: Connection, school_id: int, kind: str, now: int) -> Settings:
    """The message for a kind of device in the school's present version; gates get no menu.

    `now`, UTC seconds, decides the school's offset from UTC.
    """
    row, rules = store.school(conn, school_id), money_rules(conn, school_id)
    chosen = {**_OF_KIND, **_chosen(row).get(kind, {})}
    offset = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(row.time_zone)).utcoffset()
    flags = FIXED_MOMENT * bool(chosen["fixed_moment"]) | OFFLINE_AT_ONCE * bool(chosen["offline_at_once"])
    menu = tuple(
        MenuItem(good.good_id, good.from_minute, good.to_minute, good.price_minor, meals.hot_meal(good.meal))
        for good in (meals.menu(conn, school_id) if kind == CANTEEN else ())
    )
    return Settings(
        row.settings_version,
        int(offset.total_seconds()) // 60 if offset else 0,
        chosen["repeat_ms"],
        chosen["verdict_ms"],
        chosen["passage_ms"],
        flags,
        rules.cap_minor,
        *calendar(conn, school_id),
        rules.weak_day_minor,
        menu,
    )


def set_settings(
    conn: Connection, school_id: int, now: int, *, kinds: tuple[str, ...] = KINDS, **values: int | bool
) -> int:
    """Change settings of some kinds of devices (repeat_ms, verdict_ms, passage_ms, fixed_moment,
    offline_at_once) or the bounds of money (cap_minor, cap_device_minor, slack_minor, credit_minor,
    weak_day_minor) and publish them.

    Returns the new version.  Fault(FIELD_RANGE) names a value that cannot be.
    """
    lock_school(conn, school_id)
    row = store.school(conn, school_id)
    everything = json.loads(row.settings)
    chosen = everything.setdefault("devices", {})
    for name, value in values.items():
        if name in _OF_MONEY:
            _check(name, value, 0x7FFFFFFF if name != "cap_device_minor" else 2**53)
            money = chosen.setdefault("money", {})
            money[name] = value
            if name == "credit_minor":
                money[_HIGHEST_CREDIT] = max(int(value), int(money.get(_HIGHEST_CREDIT, 0)))
        elif name in _OF_KIND:
            _check(name, value, 0xFFFF)
            for kind in kinds:
                chosen.setdefault(kind, {})[name] = value
        else:
            raise Fault(FIELD_RANGE, f"settings.{name}", "unknown")
    store.set_settings(conn, school_id, everything, row.settings_version)
    rules = money_rules(conn, school_id)
    if rules.credit_minor > rules.cap_minor:
        raise Fault(FIELD_RANGE, "settings.credit_minor", "more than cap_minor")
    return publish_settings(conn, school_id, now)


def publish_settings(conn: Connection, school_id: int, now: int) -> int:
    """Give the settings and the menu of today a new version and leave it to ingest to send them.

    To be called after each change of the menu.  Returns the version.
    """
    lock_school(conn, school_id)
    row = store.school(conn, school_id)
    version = row.settings_version + 1
    everything = json.loads(row.settings)
    extended(conn, row, everything, now)
    meals.take_day_prices(conn, school_id, day_of(now, row.time_zone))
    store.set_settings(conn, school_id, everything, version)
    for kind in KINDS:
        pack_settings(settings_for(conn, school_id, kind, now))  # a value that does not fit stops here
    keep_prices(
        conn, school_id, version, now, [(g.good_id, g.price_minor) for g in meals.menu(conn, school_id)]
    )
    devices = [device.device_id for device in store.open_devices(conn, school_id)]
    store.add_downlinks(conn, school_id, devices, "settings", {"version": version}, now)
    return version


def extend_calendars(conn: Connection, now: int) -> list[int]:
    """Publish the settings of every school whose calendar would end in half a year; returns the schools."""
    schools = schools_to_extend(conn, now)
    for school_id in schools:
        publish_settings(conn, school_id, now)
    return schools


def tell_new_prices(conn: Connection, now: int) -> list[int]:
    """Publish the settings of every school whose prices of today are not those that devices were told."""
    schools = schools_with_new_prices(conn, now)
    for school_id in schools:
        publish_settings(conn, school_id, now)
    return schools


def schools_with_new_prices(conn: Connection, now: int) -> list[int]:
    """Schools whose catalogue has another price today for a line of the devices' menu."""
    return meals.schools_with_new_prices(conn, lambda time_zone: day_of(now, time_zone))


def keep_prices(
    conn: Connection, school_id: int, version: int, now: int, prices: Sequence[tuple[int, int]]
) -> None:
    """Devices may sell at these from now on: (good_id, price in minor units); known ones stay as they are."""
    store.add_prices(conn, [(school_id, *price, version, now) for price in prices])


def _chosen(row: Any) -> Mapping[str, Any]:
    chosen: Mapping[str, Any] = json.loads(row.settings).get("devices", {})
    return chosen


def _check(name: str, value: int | bool, highest: int) -> None:
    if isinstance(value, bool) != isinstance({**_OF_KIND, **_OF_MONEY}[name], bool):
        raise Fault(FIELD_RANGE, f"settings.{name}", "another kind of value")
    if not 0 <= value <= highest:
        raise Fault(FIELD_RANGE, f"settings.{name}", str(value))
