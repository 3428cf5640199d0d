"""I1 to I12: what holds whatever broke, checked against the ground truth.

`always` is cheap and looks in the middle of trouble; `healed` looks at everything once the school is whole
again.  I1, I3, I8, I9 and I12 are looked at continuously where they could break: town.py, terminal.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cloud import db
from cloud.accounting import service as accounting
from protocols.errors import RETURN_EXCEEDS_RIGHTS, RIGHTS_SHORT
from protocols.ledger import record
from protocols.ledger.holder import Counters, rights
from scripts.sim import basket_invariants, meal_invariants, payout_invariants
from scripts.sim.crash import CRASH
from scripts.sim.rest import days_off

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

NAMES = {
    "I1": "true debt <= L + bounded exposure",
    "I2": "free >= 0",
    "I3": "0 <= rights <= CAP",
    "I4": "outside recovery no holder has a grant unknown to its parent",
    "I5": "everything converges after healing",
    "I6": "recovery ends",
    "I7": "cloud balance = bank - true sales, destroyed records listed one by one",
    "I8": "shown OK implies durable",
    "I9": "a sale is voided at most once",
    "I10": "one benefit per pupil, day and meal is charged to the fund",
    "I11": "postings sum to zero and caches equal sums",
    "I12": "no message without a valid MAC changes state",
    CRASH: "no program ends with an error that nobody handles",
}

Finding = tuple[str, str]
"""(invariant, what was seen)"""


def always(sim: Simulation) -> Iterator[Finding]:
    """I2 and I4, on the database as it is now."""
    yield from free_is_never_negative(sim)
    yield from promises_are_covered(sim)
    if not sim.cloud.in_recovery:
        yield from holders_stay_below_cap(sim)
        yield from grants_are_known(sim)


def healed(sim: Simulation) -> Iterator[Finding]:
    """Everything, at a moment when all that can be repaired is repaired."""
    yield from always(sim)
    yield from journals_have_arrived(sim)
    yield from no_broken_chain_is_taken(sim)
    yield from claimed_grants_are_reserved(sim)
    yield from devices_are_current(sim)
    yield from days_are_right(sim)
    yield from books_add_up(sim)
    yield from basket_invariants.baskets_are_whole(sim)
    yield from balances_are_true(sim)
    yield from payout_invariants.payouts_have_ended(sim)
    yield from acknowledged_is_kept(sim)
    yield from meal_invariants.funds_pay_once(sim)
    yield from meal_invariants.debts_are_repaid(sim)
    if sim.cloud.in_recovery:
        yield "I6", "the school is still in recovery"


def free_is_never_negative(sim: Simulation) -> Iterator[Finding]:
    """I2: no purse and no credit has promised more than it holds."""
    if sim.cloud.in_recovery or sim.cloud.bank_is_late or sim.backups.archive_was_lost:
        return
    purses = dict(_free_of(sim, record.MONEY, "purse", sim.town.slack))
    if sim.backups.restores:
        # What a fund gave back is due again when the tills have passed that day; it may be granted already.
        for key, amount in meal_invariants.forgotten_refunds(sim).items():
            purses[key[0]] = purses.get(key[0], 0) + amount
    credits = dict(_free_of(sim, record.MEAL_CREDIT, "credit", sim.town.credit_slack))
    for account, free in purses.items():
        if free < 0:
            yield "I2", f"purse {account:08x}: {free} is free"
    for account, free in credits.items():
        # A restore may forget that a debt was repaid, and both what came of it: the purse keeps that much.
        cover = max(0, purses.get(account, 0)) if sim.backups.restores else 0
        if free + cover < 0:
            yield "I2", f"credit {account:08x}: {free} is free, its purse has {cover}"


def _free_of(sim: Simulation, bucket: int, code: str, slack: int) -> Iterator[tuple[int, int]]:
    """(account, what is free under its key, and excused)."""
    statement = (
        "SELECT r.account_id, sum(CASE WHEN e.status IN (?, ?, ?)"
        " THEN max(r.granted, r.journaled) - r.returned - r.spent + r.voided ELSE 0 END),"
        " coalesce(b.amount_minor, 0),"
        " sum(CASE WHEN e.status IN ('lost', 'quarantined') THEN r.spent - r.voided ELSE 0 END)"
        " FROM spending_right r"
        " JOIN device_epoch e ON e.device_id = r.device_id AND e.epoch = r.epoch"
        " LEFT JOIN ledger_account a ON a.code = ? || printf(':%08x', r.account_id)"
        " LEFT JOIN balance b ON b.ledger_account_id = a.ledger_account_id"
        " WHERE r.bucket = ? GROUP BY r.account_id"
    )
    # A release that a restore forgot is reserved again, though its money may have been granted since.
    lost = "open" if sim.backups.restores else "lost"
    held_back = "open" if sim.backups.restores else "quarantined"
    rows = sim.cloud.select(statement, ("open", lost, held_back, code, bucket))
    for account, out, balance, sold in rows:
        # What a lost epoch had sold on credit is owed again with such a release, though until the restore it
        # waited in suspense, beside a credit that was given to another till: no fund or purse covers it.
        late = sold if sim.backups.restores and bucket == record.MEAL_CREDIT else 0
        yield account, balance + slack - out + sim.excused.get(account, 0) + late


def promises_are_covered(sim: Simulation) -> Iterator[Finding]:
    """I2 in truth: if every sound till got what it was promised and sold it all, no purse would fall below
    its slack by more than the exposure of the unsound ones; the balance is the bank's less true sales."""
    statement = "SELECT device_id, epoch, account_id, granted FROM spending_right WHERE bucket = 0"
    granted = {(row[0], row[1], row[2]): row[3] for row in sim.cloud.select(statement)}
    promised: defaultdict[int, int] = defaultdict(int)
    for terminal in sim.honest_terminals():
        holder = terminal.provision.device, terminal.provision.epoch
        for account, total, left in sim.town.granted_in_money(terminal.serial):
            promised[account] += left + max(0, granted.pop((*holder, account), 0) - total)
    # Placed on a till in a table, and not yet met there.
    sound = {(each.provision.device, each.provision.epoch) for each in sim.honest_terminals()}
    for (device, epoch, account), total in granted.items():
        if (device, epoch) in sound:
            promised[account] += total
    town = sim.town
    for account, minor in promised.items():
        true = town.balance(account)
        # What is owed for meals is repaid out of what is free only: till then it is beside the purse.
        owed = min(town.credit_slack, max(0, town.owed[account]))
        if minor > max(0, true + owed) + town.slack + town.exposure[account]:
            yield "I2", f"account {account:08x}: {minor} may be spent at tills, {true} is there in truth"


def acknowledged_is_kept(sim: Simulation) -> Iterator[Finding]:
    """I7: a record may be destroyed with its device only if nobody had acknowledged it."""
    if sim.backups.archive_was_lost:
        return
    for name, raw in sim.suspects.acknowledged_and_gone():
        yield "I7", f"{name}: record {record.unpack(raw).seq} was acknowledged and is nowhere"


def holders_stay_below_cap(sim: Simulation) -> Iterator[Finding]:
    """I3, the parent's half: no working holder was ever given more than CAP under one key.

    Voids are left out: a till does not take a grant on its way that its own void left no room for, and the
    parent keeps it reserved.  What a till truly holds is looked at in town.py, voids and all.  With the
    archive the proof of a grant can be lost: what was sold by it waits as a claim and is no part of S, what
    was returned of it is refused and no part of R until the till returns the next time, also when the parent
    gives as much again.
    """
    statement = (
        "SELECT r.device_id, r.epoch, r.account_id, r.bucket,"
        " r.granted - r.returned - r.spent + r.voided AS held, r.voided"
        " FROM spending_right r JOIN device_epoch e ON e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE e.status = 'open' AND (held - r.voided > ? OR held < 0)"
    )
    for device, epoch, account, bucket, held, voided in sim.cloud.select(statement, (sim.town.cap,)):
        key, unproven = (device, epoch, account, bucket), 0
        if sim.backups.archive_was_lost:
            unproven = _claimed(sim, *key) + _returned_unproven(sim, *key)
        if held < 0 or held - voided - unproven > sim.town.cap:
            yield "I3", f"the cloud gave device {device:08x} {held} of {account:08x}, bucket {bucket}"


def _claimed(sim: Simulation, device: int, epoch: int, account: int, bucket: int) -> int:
    """What a device sold under a key of money or meal credit without a right that the cloud can prove."""
    statement = (
        "SELECT coalesce(sum(amount), 0) FROM record WHERE device_id = ? AND epoch = ? AND account_id = ?"
        " AND type = ? AND flags & ? = ? AND refusal = ?"
    )
    source = {record.MONEY: record.FROM_MONEY, record.MEAL_CREDIT: record.FROM_CREDIT}.get(bucket, -1)
    values = device, epoch, account, record.SALE, record.SALE_SOURCE, source, RIGHTS_SHORT
    return int(sim.cloud.select(statement, values)[0][0])


def _returned_unproven(sim: Simulation, device: int, epoch: int, account: int, bucket: int) -> int:
    """What a device gave back under a key beyond what the cloud could believe when it heard of it."""
    statement = (
        "SELECT coalesce(max(r.amount - s.returned), 0) FROM record r JOIN spending_right s"
        " ON s.device_id = r.device_id AND s.epoch = r.epoch AND s.account_id = r.account_id"
        " AND s.bucket = r.aux WHERE r.device_id = ? AND r.epoch = ? AND r.account_id = ? AND r.aux = ?"
        " AND r.type = ? AND r.refusal = ?"
    )
    values = device, epoch, account, bucket, record.RETURN, RETURN_EXCEEDS_RIGHTS
    return max(0, int(sim.cloud.select(statement, values)[0][0]))


def grants_are_known(sim: Simulation) -> Iterator[Finding]:
    """I4: what a device has journaled as granted, the cloud has granted or holds reserved."""
    known = {
        (row[0], row[1], row[2], row[3]): row[4]
        for row in sim.cloud.select(
            "SELECT device_id, epoch, account_id, bucket, max(granted, journaled) FROM spending_right"
        )
    }
    for terminal in sim.honest_terminals():
        provision = terminal.provision
        for (account, bucket), total in sim.town.granted(terminal.serial).items():
            have = known.get((provision.device, provision.epoch, account, bucket), 0)
            if total > have:
                yield "I4", f"{terminal.name} was granted {total} for {account:08x}, the cloud knows {have}"


def journals_have_arrived(sim: Simulation) -> Iterator[Finding]:
    """I5: record by record, what is in flash is in the cloud, and nothing else."""
    for terminal in sim.honest_terminals():
        provision = terminal.provision
        statement = "SELECT raw FROM record WHERE device_id = ? AND epoch = ? ORDER BY seq"
        stored = [bytes(row[0]) for row in sim.cloud.select(statement, (provision.device, provision.epoch))]
        if stored == terminal.journal:
            continue
        if len(stored) != len(terminal.journal):
            text = f"{len(terminal.journal)} records in flash, {len(stored)} in the cloud"
        else:
            place = next(
                i for i, pair in enumerate(zip(stored, terminal.journal, strict=True)) if pair[0] != pair[1]
            )
            text = f"record {place + 1} differs"
        yield "I5", f"{terminal.name}: {text}"


def no_broken_chain_is_taken(sim: Simulation) -> Iterator[Finding]:
    """I12 for records: what a thief sent out of the chain is not among the records of that key."""
    if sim.hostile is None:
        return
    statement = "SELECT raw FROM record WHERE device_id = ? ORDER BY seq"
    stored = [bytes(row[0]) for row in sim.cloud.select(statement, (sim.hostile.provision.device,))]
    if stored != sim.hostile.journal[: len(stored)]:
        yield "I12", "the cloud took a record whose chain is broken"


def claimed_grants_are_reserved(sim: Simulation) -> Iterator[Finding]:
    """I4: a grant that only a device knows of is reserved in `out`, whoever lies."""
    if sim.hostile is None:
        return
    device = sim.hostile.provision.device
    rows = sim.cloud.select(
        "SELECT account_id, bucket, max(granted, journaled) FROM spending_right WHERE device_id = ?",
        (device,),
    )
    reserved = {(row[0], row[1]): row[2] for row in rows}
    taken = sim.cloud.select("SELECT next_seq FROM device_epoch WHERE device_id = ?", (device,))[0][0] - 1
    for item in map(record.unpack, sim.hostile.journal[:taken]):
        if item.type == record.GRANT and reserved.get((item.account, item.aux), 0) < item.amount:
            yield "I4", f"a claimed grant of {item.amount} on {item.account:08x} is not reserved"


def devices_are_current(sim: Simulation) -> Iterator[Finding]:
    """I5: running, unlocked, online, acknowledged, with the newest table and settings."""
    newest = dict(sim.cloud.select("SELECT device_id, max(version) FROM device_table GROUP BY device_id"))
    for terminal in sim.honest_terminals():
        if not terminal.runs:
            yield "I5", f"{terminal.name} does not run"
            continue
        controller = terminal.controller
        if controller.locked:
            yield "I5", f"{terminal.name} is locked with {controller.locked}"
        elif controller.journal.acked != controller.journal.next_seq:
            text = f"acknowledged to {controller.journal.acked} of {controller.journal.next_seq}"
            yield "I5", f"{terminal.name}: {text}"
        elif controller.accounts.version != newest.get(terminal.device, 0):
            text = f"table {controller.accounts.version}, newest {newest.get(terminal.device)}"
            yield "I5", f"{terminal.name}: {text}"
        yield from _counters_are_true(sim, terminal)


def _counters_are_true(sim: Simulation, terminal: Any) -> Iterator[Finding]:
    """The firmware's counters, the cloud's and a plain fold of the flash are the same."""
    if terminal.is_gate:
        return
    provision = terminal.provision
    statement = (
        "SELECT account_id, bucket, granted, returned, spent, voided FROM spending_right"
        " WHERE device_id = ? AND epoch = ? AND journaled <= granted"
    )
    cloud = {
        (row[0], row[1]): Counters(*row[2:])
        for row in sim.cloud.select(statement, (provision.device, provision.epoch))
    }
    controller = terminal.controller
    today = max(controller.journal.last_day, controller.state.day)
    # A wrong day, of the cloud's clock or its own, was over for the till until a person took it back.
    wrong = 0
    if any(sim.struck[kind] for kind in ("clock_of_cloud", "clock_day_ahead", "clock_jump")):
        wrong = min(sim.town.latest_day[terminal.serial], controller.state.benefits_from)
    ended_ahead = _ended_ahead(sim)
    for (account, bucket), true in sim.town.rights_of(terminal.serial).items():
        if record.MEALS_A_DAY <= bucket < record.benefit_bucket(today, 0):
            continue  # of a day that is over: forgotten by the device, expired in the books
        own = rights(terminal.controller.counters.get(account, bucket))
        is_forgotten = not own and record.MEALS_A_DAY <= bucket < record.benefit_bucket(wrong, 0)
        if own != true and not is_forgotten:
            yield "I5", f"{terminal.name} counts {own} of {account:08x}, its journal says {true}"
        known = cloud.get((account, bucket))
        if known is None:
            if true and not sim.backups.restores:
                yield "I5", f"the cloud knows no rights of {account:08x} on {terminal.name}"
            continue
        # A grant may be placed in a table that the card has not met yet.
        placed = known.granted - sim.town.granted_to(terminal.serial, account, bucket)
        have = rights(known) - placed
        if have < true and (terminal.device, account, bucket) in ended_ahead:
            continue
        # What was sold under grants that a restore forgot waits in suspense and stays reserved.
        if have < true or (have > true and not sim.backups.restores):
            yield "I5", f"the cloud counts {known} of {account:08x} on {terminal.name}, in truth {true}"


def _ended_ahead(sim: Simulation) -> set[tuple[int, int, int]]:
    """Benefits (device, account, bucket) that expired: a cloud whose own clock ran ahead ends also those of
    days to which a person then takes a till back; what is eaten from them the purse pays, or it waits."""
    if not sim.struck["clock_of_cloud"]:
        return set()
    return {
        (row[0], row[1], row[2])
        for row in sim.cloud.select(
            "SELECT device_id, account_id, bucket FROM right_movement WHERE cause = 'expiry'"
        )
    }


def books_add_up(sim: Simulation) -> Iterator[Finding]:
    """I11: postings sum to zero and cached balances equal the sums."""
    with db.reading(sim.cloud.engine) as conn:
        total = accounting.books_sum(conn, sim.cloud.school)
        differing = accounting.differing_balances(conn, sim.cloud.school)
    if total:
        yield "I11", f"all postings together make {total}"
    for code, summed, cached in differing:
        yield "I11", f"{code}: postings {summed}, cached {cached}"


def balances_are_true(sim: Simulation) -> Iterator[Finding]:
    """I7: each purse holds what the bank got less what was truly sold."""
    unexplained = 0
    # What was set aside for lost devices left the purses; it is in loss:device, known to the kopeck.
    statement = "SELECT account_id, sum(released) FROM right_release WHERE bucket = 0 GROUP BY account_id"
    released = dict(sim.cloud.select(statement))
    with db.reading(sim.cloud.engine) as conn:
        purses = accounting.balances_of_kind(conn, sim.cloud.school, accounting.PURSES)
        credits = accounting.balances_of_kind(conn, sim.cloud.school, accounting.CREDITS)
        others = accounting.balances_of_kind(conn, sim.cloud.school, "suspense:")
    unpaid = sim.suspects.unpaid_minor()
    # The cloud may have made a stolen till the home of a class: what it sold under rights that it was given.
    statement = (
        "SELECT account_id, sum(spent - voided) FROM spending_right r JOIN device d"
        " ON d.device_id = r.device_id WHERE d.label LIKE 'stolen-%' AND bucket = 0"
        " AND spent - voided BETWEEN 1 AND granted GROUP BY account_id"
    )
    stolen = dict(sim.cloud.select(statement))
    second = dict(sim.cloud.select(meal_invariants.SECOND_MEALS))
    forgotten: defaultdict[int, int] = defaultdict(int)
    for key, amount in meal_invariants.forgotten_refunds(sim).items():
        forgotten[key[0]] += amount
    paid_back = sim.backups.forgotten_back
    for pupil in sim.town.pupils:
        account = pupil.account
        have = purses.get(accounting.purse(account), 0) + credits.get(accounting.credit(account), 0)
        true = sim.town.balance(account) + unpaid.get(account, 0) + paid_back[account]
        true -= released.get(account, 0) + stolen.get(account, 0) + second.get(account, 0)
        true -= forgotten[account]
        if have != true:
            unexplained += abs(have - true)
            yield "I7", f"account {account:08x}: the cloud says {have}, in truth {true}"
    for code, amount in others.items():
        if amount and code == "suspense:rule" and sim.backups.archive_was_lost:
            amount -= sim.suspects.unpriced_minor()
        if amount and sim.hostile is None and not sim.suspects.suspended:
            unexplained += abs(amount)
            yield "I7", f"{amount} in {code}"
    sim.kopecks_unexplained += unexplained


def days_are_right(sim: Simulation) -> Iterator[Finding]:
    """I5: what a wrong TIME did to a board's day is taken back once a person has looked."""
    for terminal in sim.honest_terminals():
        off = days_off(terminal)
        if off:
            yield "I5", f"{terminal.name} is {off} days off, though a person has confirmed the day"
