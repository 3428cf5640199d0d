"""What a table says beside money: meal credit, and the benefits of the school days ahead, at home tills.

Promises: of each benefit at most one right is ever out or used, and none is
placed behind a re-rating; meal credit stays within the school's L less what is
owed and out; both within CAP_DEVICE, a benefit counted as the dearest hot meal.
Nothing is written here.  A meal that has no place in a table is left to the
re-rating.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.benefits import service as benefits
from cloud.devices import store
from cloud.devices.settings import MoneyRules
from protocols.ledger import holder, parent
from protocols.ledger.record import MEAL_CREDIT, MEALS_A_DAY, benefit_bucket
from protocols.wire import table

DAYS_AHEAD = 5
_SUNDAY = 3
"""day % 7 of a Sunday: day 0, 1970-01-01, was a Thursday."""

Place = tuple[int, int]
"""device_id, account_id"""


class Placed(NamedTuple):
    """`rows`: (device_id, epoch, account_id, bucket) to G and what of it the table tells.

    `moved`: for the books; `told`: (flags, benefit days) of a row of the table; `more`: accounts with
    credit that GRANT must bring, since a table tells the first L only.
    """

    base_day: int
    credit_total: int
    rows: dict[tuple[int, int, int, int], tuple[int, int]]
    moved: list[accounting.Movement]
    told: dict[Place, tuple[int, int]]
    more: list[int]


class Standing:
    """What is out under the buckets of credit and benefits, as the database has it."""

    def __init__(self, conn: Connection, school_id: int, base_day: int, benefit_minor: int) -> None:
        self.benefit_minor = benefit_minor
        self.credit = [_Held(row) for row in store.rights(conn, school_id, MEAL_CREDIT)]
        first = benefit_bucket(base_day, 0)
        last = benefit_bucket(base_day + table.DAYS, 0) - 1
        self.benefits = [_Held(row) for row in store.rights_between(conn, school_id, first, last)]

    def held_minor(self, device_id: int, epoch: int) -> int:
        """What a holder's rights beside money are worth, minor units."""
        place = device_id, epoch
        credit = sum(one.rights for one in self.credit if one.place == place)
        return credit + self.benefit_minor * sum(one.rights for one in self.benefits if one.place == place)


class _Held:
    """One row of spending_right."""

    def __init__(self, row: Any) -> None:
        self.place = row.device_id, row.epoch
        self.account_id, self.bucket, self.granted = row.account_id, row.bucket, row.granted
        counters = holder.Counters(row.granted, row.returned, row.spent, row.voided)
        self.rights = 0 if row.status == "closed" else holder.rights(counters)
        self.claim = 0 if row.status == "closed" else max(0, row.journaled - row.granted)
        self.used = row.spent - row.voided


def days_ahead(base_day: int) -> list[int]:
    """The next school days from `base_day` on: all but Sundays."""
    days = [day for day in range(base_day, base_day + table.DAYS) if day % 7 != _SUNDAY]
    return days[:DAYS_AHEAD]


def place(
    conn: Connection,
    school_id: int,
    standing: Standing,
    homes: Mapping[int, int],
    epochs: Mapping[int, int],
    room: dict[int, int],
    rules: MoneyRules,
    base_day: int,
    version: int,
) -> Placed:
    """Place credit, then benefits; `homes`: account_id to its till.

    `room`: of CAP_DEVICE on each till; what is placed here is taken off.  Without
    room nothing new is placed: so it is in recovery.
    """
    made = Placed(base_day, rules.slack(MEAL_CREDIT), {}, [], {}, [])
    cause = accounting.BY_TABLE, version
    _place_credit(conn, school_id, standing, homes, epochs, room, rules, made, cause)
    _place_benefits(conn, school_id, standing, homes, epochs, room, made, cause)
    return made


def _place_credit(
    conn: Connection, school_id: int, standing: Standing, homes: Mapping[int, int], epochs: Mapping[int, int],
    room: dict[int, int], rules: MoneyRules, made: Placed, cause: tuple[str, int],
) -> None:  # fmt: skip
    slack = made.credit_total
    held = {(one.place, one.account_id): one for one in standing.credit}
    out: defaultdict[int, int] = defaultdict(int)
    for one in standing.credit:
        out[one.account_id] += one.rights + one.claim
        if epochs.get(one.place[0]) == one.place[1]:
            # What this table does not tell is told by GRANT.
            made.rows[(*one.place, one.account_id, MEAL_CREDIT)] = one.granted, 0
    balances = accounting.balances_of_kind(conn, school_id, accounting.CREDITS) if slack else {}
    for account_id, home in sorted(homes.items()):
        place = home, epochs[home]
        own = held.get((place, account_id))
        granted, rights, claim = (own.granted, own.rights, own.claim) if own is not None else (0, 0, 0)
        free = parent.free(balances.get(accounting.credit(account_id), 0), slack, out[account_id])
        more = parent.grantable(max(0, slack - granted), free, rights, rules.cap_minor, room[home])
        if more:
            room[home] -= more
            made.moved.extend(accounting.grant(place, (account_id, MEAL_CREDIT), more, claim, cause))
        if free > more and granted + more >= slack > 0:
            made.more.append(account_id)
        is_told = granted + more >= slack > 0
        if is_told:
            made.told[home, account_id] = table.CREDIT, 0
        if more or is_told:
            made.rows[(*place, account_id, MEAL_CREDIT)] = granted + more, slack if is_told else 0


def _place_benefits(
    conn: Connection, school_id: int, standing: Standing, homes: Mapping[int, int], epochs: Mapping[int, int],
    room: dict[int, int], made: Placed, cause: tuple[str, int],
) -> None:  # fmt: skip
    wanted = benefits.entitled(conn, school_id, days_ahead(made.base_day))
    if not wanted and not standing.benefits:
        return
    taken: set[tuple[int, int]] = set()
    here: defaultdict[Place, set[tuple[int, int]]] = defaultdict(set)
    for one in standing.benefits:
        if one.used > 0 or one.rights + one.claim > 0:
            taken.add((one.account_id, one.bucket))
        if one.granted and epochs.get(one.place[0]) == one.place[1]:
            here[one.place[0], one.account_id].add(divmod(one.bucket, MEALS_A_DAY))
    charged = benefits.charges(
        conn, school_id, [(account_id, *pair) for account_id, pairs in wanted.items() for pair in pairs]
    )
    for account_id, home in sorted(homes.items()):
        for day, meal in sorted(wanted.get(account_id, ())):
            key = account_id, benefit_bucket(day, meal)
            is_free = key not in taken and not charged[account_id, day, meal].stands
            # What this till was given once and does not hold any more a table cannot give it again.
            is_free = is_free and (day, meal) not in here[home, account_id]
            if is_free and meal <= table.MEALS and room[home] >= standing.benefit_minor:
                room[home] -= standing.benefit_minor
                made.moved.extend(accounting.grant((home, epochs[home]), key, 1, 0, cause))
                here[home, account_id].add((day, meal))
    for (device_id, account_id), pairs in sorted(here.items()):
        told = _tell(made, device_id, account_id, pairs)
        for day, meal in sorted(pairs):
            bucket = benefit_bucket(day, meal)
            is_told = int((day, meal) in told)
            made.rows[device_id, epochs[device_id], account_id, bucket] = 1, is_told


def _tell(made: Placed, device_id: int, account_id: int, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Fit benefits into a row, the meals of the first day on each day that has them all; what was told."""
    meals = {meal for day, meal in pairs if day == min(pairs)[0] and meal <= table.MEALS}
    days = {day for day, _meal in pairs if all((day, meal) in pairs for meal in meals)}
    days = {day for day in days if 0 <= day - made.base_day < table.DAYS} if meals else set()
    flags, _none = made.told.get((device_id, account_id), (0, 0))
    for meal in meals:
        flags |= table.meal_flag(meal)
    bits = sum(1 << (day - made.base_day) for day in days)
    made.told[device_id, account_id] = flags, bits
    return {(day, meal) for day in days for meal in meals}
