"""Where the rights of a school are placed, and the account tables that tell the devices.

Promises: free = balance + slack - out stays at 0 or above for every purse; a till holds
at most CAP of one purse and CAP_DEVICE of all; the G totals are in the database
before a table says them (ingest archives them before it announces the table).
A pupil's home till is that of the class; classes without one are spread over
the canteen lines by their size.  Gates get the same cards without rights.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.alarms import service as alarms
from cloud.benefits import service as benefits
from cloud.cards import service as cards
from cloud.db import lock_school
from cloud.devices import meal_rights, readers, store
from cloud.devices.settings import benefit_minor, money_rules
from cloud.formats import SchoolTime
from cloud.payouts import service as payouts
from cloud.people import service as people
from protocols.ledger import holder, parent
from protocols.ledger.record import MONEY
from protocols.wire import table

TABLES_KEPT = 2
GRANTS_A_MESSAGE = 40


class Holding(NamedTuple):
    """One holder's counters of one purse, and what of them it may still spend as far as the cloud knows."""

    device_id: int
    epoch: int
    account_id: int
    granted: int
    tabled: int
    rights: int
    out: int
    """What is reserved for it: as `rights`, and more where a device claims a grant nobody knows of."""


def holding(row: Any) -> Holding:
    """The holding of a row of spending_right."""
    counters = holder.Counters(row.granted, row.returned, row.spent, row.voided)
    claimed = counters._replace(granted=max(row.granted, row.journaled))
    return Holding(
        row.device_id, row.epoch, row.account_id, row.granted, row.tabled,
        holder.rights(counters), holder.rights(claimed),
    )  # fmt: skip


def publish_tables(conn: Connection, school_id: int, now: int) -> int:
    """Place rights, build every device's table and leave it to ingest to announce it; returns the version.

    What of earlier days is still open is settled before, and debts for meals are repaid.
    """
    lock_school(conn, school_id)
    today = settle(conn, school_id, now)
    devices = store.open_devices(conn, school_id)
    version = store.next_table_version(conn, school_id)
    _spread_classes(conn, school_id, devices)
    known = cards.table_cards(conn, school_id, today)
    granted, moved, placed_meals = _place(conn, school_id, devices, known.exact, version, today)
    told = {card.account_id for card in known.exact}
    roughly = lossy(conn, school_id)
    # What means two cards at a device of the school is for a person to see, as long as it does.
    shared = known.shared if roughly else known.unknown
    alarms.tell(conn, school_id, "number_shared", f"{shared} cards" if shared else "", now)
    tables, placed = [], []
    for device in devices:
        totals = granted[device.device_id] if device.kind == parent.CANTEEN else {}
        rows = [
            _row(card, totals, *placed_meals.told.get((device.device_id, card.account_id), (0, 0)))
            for card in (known.lossy if device.device_id in roughly else known.exact)
        ]
        is_till = device.kind == parent.CANTEEN
        image = table.build(rows, version, today, placed_meals.credit_total if is_till else 0)
        tables.append((school_id, device.device_id, version, image, table.root(image), now))
        placed += [
            (
                school_id,
                device.device_id,
                device.epoch,
                account,
                MONEY,
                total,
                total if account in told else 0,
            )
            for account, total in totals.items()
        ]
    placed += [(school_id, *key, *totals) for key, totals in placed_meals.rows.items()]
    store.place_rights(conn, placed)
    accounting.move(conn, school_id, [*moved, *placed_meals.moved], now)
    store.add_tables(conn, tables, TABLES_KEPT)
    ids = [device.device_id for device in devices]
    store.add_downlinks(conn, school_id, ids, "table", {"version": version}, now)
    offer(conn, school_id, placed_meals.more, now)
    return version


def replace_tables(conn: Connection, applied: Mapping[tuple[int, int], int], now: int) -> None:
    """Leave it to ingest to announce a newer table to each (school_id, device_id) than it has applied."""
    for school_id in sorted({school_id for school_id, _device in applied}):
        versions = {key[1]: version for key, version in applied.items() if key[0] == school_id}
        newest = store.newest_tables(conn, school_id)
        if all(newest.get(device_id, 0) > version for device_id, version in versions.items()):
            told = {"version": max(newest.values(), default=0)}
            store.add_downlinks(conn, school_id, sorted(versions), "table", told, now)
        else:
            publish_tables(conn, school_id, now)


def publish_ended(conn: Connection, now: int) -> list[int]:
    """New tables for schools whose newest ones still name a card whose last day is over; returns those."""
    schools = cards_ended(conn, now)
    for school_id in schools:
        publish_tables(conn, school_id, now)
    return schools


def cards_ended(conn: Connection, now: int) -> list[int]:
    """The schools whose newest tables still name a card whose last day is over."""
    found = []
    for school in people.schools(conn):
        times, made_at = SchoolTime(school.time_zone, "ru"), store.tables_made_at(conn, school.school_id)
        if made_at is not None and cards.ended_since(
            conn, school.school_id, times.day(made_at), times.day(now)
        ):
            found.append(school.school_id)
    return found


def settle(conn: Connection, school_id: int, now: int) -> int:
    """Settle days that are still open and repay what is owed for meals; returns the school's day."""
    today = SchoolTime(store.school(conn, school_id).time_zone, "ru").day(now)
    benefits.sweep(conn, school_id, today, now)
    accounting.repay(conn, school_id, now)
    return today


def offer(conn: Connection, school_id: int, account_ids: Sequence[int], now: int) -> None:
    """Leave it to ingest to grant what these accounts have free to their home tills, when they are online."""
    wanted = set(account_ids)
    of_till: defaultdict[int, list[int]] = defaultdict(list)
    for account in people.accounts(conn, school_id) if wanted else ():
        if account.account_id in wanted and account.active and account.home_device is not None:
            of_till[account.home_device].append(account.account_id)
    for device_id, accounts in sorted(of_till.items()):
        for start in range(0, len(accounts), GRANTS_A_MESSAGE):
            part = accounts[start : start + GRANTS_A_MESSAGE]
            store.add_downlinks(conn, school_id, [device_id], "grant", {"accounts": part}, now)


def lossy(conn: Connection, school_id: int) -> set[int]:
    """The devices whose reader may leave a part of a card's number out."""
    return {
        device.device_id
        for device in store.open_devices(conn, school_id)
        if (reader := readers.kept(store.read_json(device.reader))) and reader.is_lossy
    }


def _row(card: cards.TableCard, totals: dict[int, int], flags: int, benefit_days: int) -> table.Row:
    class_number = card.class_id if card.class_id <= 0xFF else 0
    if card.is_copy:
        return table.Row(card.reference, card.account_id, 0, 0, table.COPY, class_number)
    flags |= 0 if card.active else table.BLOCKED
    flags |= table.WEAK if card.is_weak else 0
    total = totals.get(card.account_id, 0)
    return table.Row(card.reference, card.account_id, total, benefit_days, flags, class_number)


def _spread_classes(conn: Connection, school_id: int, devices: Any) -> None:
    """Give every class without a working home till the line with the fewest pupils."""
    pupils: defaultdict[int, int] = defaultdict(int)
    for account in people.accounts(conn, school_id):
        pupils[account.class_id] += account.active
    load = {device.device_id: 0 for device in devices if device.kind == parent.CANTEEN}
    if not load:
        return
    classes = people.classes(conn, school_id)
    for each in classes:
        if each.home_device in load:
            load[each.home_device] += pupils[each.class_id]
    homeless = [each for each in classes if each.home_device not in load]
    for each in sorted(homeless, key=lambda one: (-pupils[one.class_id], one.class_id)):
        home = min(load, key=lambda device_id: (load[device_id], device_id))
        people.set_home_device(conn, school_id, each.class_id, home)
        load[home] += pupils[each.class_id]


def _place(
    conn: Connection, school_id: int, devices: Any, known: list[cards.TableCard], version: int, today: int
) -> tuple[dict[int, dict[int, int]], list[accounting.Movement], meal_rights.Placed]:
    """device_id to account_id to the G total after placement, and what moved; nothing is written yet."""
    rules = money_rules(conn, school_id)
    standing = meal_rights.Standing(conn, school_id, today, benefit_minor(conn, school_id))
    # In recovery nobody knows what is out: rights stay as they are.
    is_certain = store.school(conn, school_id).mode == "normal"
    out: defaultdict[int, int] = defaultdict(int)
    held: defaultdict[int, dict[int, int]] = defaultdict(dict)
    total: defaultdict[int, dict[int, int]] = defaultdict(dict)
    claims: dict[tuple[int, int], int] = {}
    moved: list[accounting.Movement] = []
    epochs = {device.device_id: device.epoch for device in devices}
    for one in map(holding, store.rights(conn, school_id, MONEY)):
        out[one.account_id] += one.out
        if epochs.get(one.device_id) == one.epoch:
            held[one.device_id][one.account_id] = one.rights
            total[one.device_id][one.account_id] = one.granted
            claims[one.device_id, one.account_id] = one.out - one.rights
    tills = {device.device_id for device in devices if device.kind == parent.CANTEEN}
    room = {
        device_id: rules.cap_device_minor
        - sum(held[device_id].values())
        - standing.held_minor(device_id, epochs[device_id])
        for device_id in tills
    }
    carded = {card.account_id for card in known if card.active}
    homes = {
        account.account_id: account.home_device
        for account in people.accounts(conn, school_id)
        if account.active and account.home_device in tills and account.account_id in carded
        if account.home_device is not None
    }
    balances = accounting.balances_of_kind(conn, school_id, accounting.PURSES)
    reserved = Counter(payouts.reserved(conn, school_id))
    reserved.update(accounting.uncovered(conn, school_id, homes))
    for account_id, home in sorted(homes.items()):
        balance = balances.get(accounting.purse(account_id), 0)
        free = parent.free(balance, rules.slack_minor, out[account_id], reserved[account_id])
        more = parent.grantable(
            rules.cap_minor, free, held[home].get(account_id, 0), rules.cap_minor, room[home]
        )
        if more and is_certain:
            total[home][account_id] = total[home].get(account_id, 0) + more
            room[home] -= more
            holder, key = (home, epochs[home]), (account_id, MONEY)
            cause = accounting.BY_TABLE, version
            moved += accounting.grant(holder, key, more, claims.get((home, account_id), 0), cause)
    if not is_certain:
        room = dict.fromkeys(room, -1)
    meals = meal_rights.place(conn, school_id, standing, homes, epochs, room, rules, today, version)
    return total, moved, meals
