"""Money back out of a purse: requests, and the steps that pay them as far as no device can spend it.

Promises: only free - L leaves, so the slack is never paid out and no right on a
device loses its cover; the rest is called back from the tills and paid when the
records of its return are in.  What an open request still wants is granted to
nobody (`reserved`).  The same key is the same request; each step is one
transaction that may be repeated or cut off anywhere.  Every change is in the raw
archive before the database has it, so that a restore forgets no payout
(`read_again`).  In recovery nothing is paid, and behind a restore that may have
lost the archive nothing until a person has looked (`hold`, `release`).  Leaves to
ingest to call rights back, and to a later step between `request` and `step` that a second person
releases what was asked.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from cloud import archive as kept
from cloud.accounting import service as accounting
from cloud.accounting.service import BANK, Entry
from cloud.alarms import service as alarms
from cloud.archive import Archive
from cloud.db import begin, lock_school, reading
from cloud.payouts import store
from cloud.people import service as people
from protocols.errors import PAYOUTS_HELD
from protocols.ledger import parent
from protocols.money import MAX_MINOR, text_from_minor

STATES = OPEN, PAID, PARTLY, CANCELLED, REFUSED = "open", "paid", "partly", "cancelled", "refused"
HELD = "held"
"""An open request of a school whose payouts are held."""
RECALL_AGAIN_S = 15
"""A RECALL that got lost is sent again after so long: it carries a total, so twice is once."""
KEY_LENGTH_MAX = 100


class PayoutRefused(ValueError):
    """A request cannot be taken, cancelled or released; carries the reason, and in `code` its number or 0."""

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(f"{reason} (refusal {code})" if code else reason)
        self.code = code


class Hold(NamedTuple):
    """Since when a school's payouts are held, UTC seconds, and why."""

    held_at: int
    why: str


class Awaited(NamedTuple):
    """A device that still holds rights of the purse.

    `last_seen_at`: when anything of it was last heard, None before it ever spoke;
    a device that is online may still be silent since then.
    """

    label: str
    rights_minor: int
    online: bool
    status: str
    last_seen_at: int | None


class Payout(NamedTuple):
    """One request; amounts in minor units, times in UTC seconds.

    `state`: OPEN, HELD (until a person has looked), PAID, PARTLY (the purse held no
    more), CANCELLED, REFUSED (by the books: a person must look, nothing is tried
    any more); `awaited`: of an open or held one, the devices that it waits for.
    """

    number: int
    external_key: str
    account_id: int
    wanted_minor: int
    paid_minor: int
    reason: str
    asked_by: str
    state: str
    asked_at: int
    changed_at: int
    awaited: tuple[Awaited, ...] = ()


def reserved(conn: Connection, school_id: int, account_ids: Iterable[int] | None = None) -> dict[int, int]:
    """account_id to what its open requests still want: no device is granted it."""
    return store.outstanding(conn, school_id, account_ids)


def request(
    conn: Connection,
    archive: Archive,
    school_id: int,
    account_id: int,
    amount_minor: int,
    *,
    key: str,
    reason: str,
    asked_by: str,
    now: int,
) -> Payout:
    """Ask for money back; under a key that was used, the request that was made under it.

    PayoutRefused: an amount that is none or more than the purse holds beside
    other open requests, a key used for another purse or amount, no such purse,
    no reason, a school in recovery or, with its number, one whose payouts are held.
    """
    lock_school(conn, school_id)
    earlier = store.by_key(conn, school_id, key)
    if earlier is not None:
        if (earlier.account_id, earlier.wanted_minor) != (account_id, amount_minor):
            raise PayoutRefused(f"key {key} was used before with another amount or pupil")
        return _payout(earlier)
    if not 0 < amount_minor <= MAX_MINOR:
        raise PayoutRefused("the amount is not more than 0")
    if not key.strip() or len(key) > KEY_LENGTH_MAX or not reason.strip():
        raise PayoutRefused(f"a payout needs a reason and a key of at most {KEY_LENGTH_MAX} characters")
    if account_id not in {account.account_id for account in people.accounts(conn, school_id)}:
        raise PayoutRefused("no such purse in this school")
    if _devices().in_recovery(conn, school_id):
        raise PayoutRefused("the school is in recovery: nothing is paid out before it has ended")
    if held(conn, school_id) is not None:
        raise PayoutRefused("payouts are held: a restore may have forgotten some", PAYOUTS_HELD)
    balance = accounting.balances(conn, school_id, [accounting.purse(account_id)])
    unasked = sum(balance.values()) - sum(reserved(conn, school_id, [account_id]).values())
    if amount_minor > unasked:
        raise PayoutRefused(f"the purse holds {text_from_minor(max(0, unasked))} that nobody has asked for")
    number = store.next_number(conn, school_id)
    store.add(conn, (school_id, number, key, account_id, amount_minor, reason, asked_by, now, now))
    row = store.by_key(conn, school_id, key)
    _keep(archive, row, OPEN, now)
    return _payout(row)


def cancel(conn: Connection, archive: Archive, school_id: int, key: str, now: int) -> Payout:
    """End an open or refused request: what was paid stays paid, the rest is the purse's again.

    PayoutRefused when there is none or it has ended otherwise.
    """
    lock_school(conn, school_id)
    row = store.by_key(conn, school_id, key)
    if row is None:
        raise PayoutRefused(f"there is no payout {key}")
    if row.state not in (OPEN, REFUSED, CANCELLED):
        raise PayoutRefused(f"payout {key} has ended: {row.state}")
    if row.state != CANCELLED:
        _end(conn, school_id, row, CANCELLED, now)
        _keep(archive, row, CANCELLED, now)
    return _payout(store.by_key(conn, school_id, key))


def payouts(conn: Connection, school_id: int, *, only_open: bool = False) -> list[Payout]:
    """Requests of a school in their order, open ones with the devices they wait for.

    `only_open`: those that somebody must still do something for, refused ones too.
    """
    state = OPEN if held(conn, school_id) is None else HELD
    return [
        _payout(row, _awaited(conn, school_id, row.account_id), state) if row.state == OPEN else _payout(row)
        for row in store.rows(conn, school_id, only_open=only_open)
    ]


def hold(conn: Connection, archive: Archive, school_id: int, why: str, now: int) -> None:
    """A restore may have forgotten payouts: nothing is paid, called back or asked for until `release`.

    It stands in the archive first: the next restore may bring a database of before it.
    """
    archive.append([kept.Hold(school_id, now, goes_on=False, who="", why=why)], now)
    store.add_hold(conn, school_id, now, why)
    alarms.raise_alarm(conn, school_id, "payouts_held", why, now)


def held(conn: Connection, school_id: int) -> Hold | None:
    """The hold on a school's payouts, None when there is none."""
    row = store.hold(conn, school_id)
    return Hold(*row) if row is not None else None


def _hold_again(conn: Connection, school_id: int, last: kept.Hold | None, now: int) -> None:
    """Bring the hold of a school up to the last word of the archive."""
    if last is not None and not last.goes_on and held(conn, school_id) is None:
        store.add_hold(conn, school_id, last.changed_at, last.why)
        alarms.raise_alarm(conn, school_id, "payouts_held", last.why, now)
    elif last is not None and last.goes_on:
        store.release(conn, school_id, last.who, last.why, last.changed_at)


def release(conn: Connection, archive: Archive, school_id: int, *, who: str, reason: str, now: int) -> Hold:
    """A person has compared what is open with the bank and cancelled what the bank has paid: it goes on.

    PayoutRefused when nothing is held, or without a reason.
    """
    lock_school(conn, school_id)
    found = held(conn, school_id)
    if found is None:
        raise PayoutRefused("no payouts are held")
    if not reason.strip():
        raise PayoutRefused("a release needs a reason")
    archive.append([kept.Hold(school_id, now, goes_on=True, who=who, why=reason)], now)
    store.release(conn, school_id, who, reason, now)
    alarms.raise_alarm(conn, school_id, "payouts_released", f"{who}: {reason}", now)
    return found


def drive(engine: Engine, archive: Archive, now: int) -> int:
    """One step of every school with open requests; returns how many minor units were paid."""
    with reading(engine) as conn:
        schools = store.schools_with_open(conn)
    total = 0
    for school_id in schools:
        with begin(engine) as conn:
            total += step(conn, archive, school_id, now)
    return total


def step(conn: Connection, archive: Archive, school_id: int, now: int) -> int:
    """Pay what can be paid of a school's open requests, call back the rest; returns the minor units paid."""
    lock_school(conn, school_id)
    if _devices().in_recovery(conn, school_id) or held(conn, school_id) is not None:
        return 0
    rows = [row for row in store.rows(conn, school_id, only_open=True) if row.state == OPEN]
    return sum(_step(conn, archive, school_id, row, now) for row in rows)


def _step(conn: Connection, archive: Archive, school_id: int, row: Any, now: int) -> int:
    balance = accounting.balances(conn, school_id, [accounting.purse(row.account_id)])
    holders = _devices().holders(conn, school_id, row.account_id)
    out = sum(holder.out for holder in holders)
    outstanding = row.wanted_minor - row.paid_minor
    part = parent.payable(outstanding, sum(balance.values()), out)
    state = PAID if part == outstanding else OPEN if out else PARTLY
    if part:
        entry = _entry(row.external_key, row.account_id, row.parts + 1, part, now)
        result = accounting.post(conn, school_id, [entry], now)[0]
        if result.refusal:
            why = f"{entry.external_key}: the books refuse it with number {result.refusal}"
            alarms.raise_alarm(conn, school_id, "payout_refused", why, now)
            part, state = 0, REFUSED
        else:
            store.paid(conn, school_id, row.number, part, now)
    if state != OPEN:
        _end(conn, school_id, row, state, now)
    elif row.recalled_at is None or now - row.recalled_at >= RECALL_AGAIN_S:
        askable = [holder.device_id for holder in holders if holder.askable and holder.rights]
        _devices().recall_rights(conn, school_id, askable, row.account_id, now)
        store.set_recalled(conn, school_id, row.number, now)
    if part or state != OPEN:
        _keep(archive, row, state, now, part)
    return part


def _entry(key: str, account_id: int, number: int, part: int, at: int) -> Entry:
    lines = ((accounting.purse(account_id), -part), (BANK, part))
    return Entry(f"payout:{key}:{number}", "payout", at, lines, reason=key)


def _keep(archive: Archive, row: Any, state: str, now: int, part: int = 0) -> None:
    """Put a change where a restore finds it, before it is committed: `row` is the request as it was."""
    change = kept.Payout(
        row.school_id, row.account_id, row.parts + bool(part), now, STATES.index(state),
        row.wanted_minor, part, row.asked_at, row.external_key, row.reason, row.asked_by,
    )  # fmt: skip
    archive.append([change], now)


def read_again(conn: Connection, school_id: int, decided: Sequence[kept.Decided], now: int) -> None:
    """Bring requests and the hold up to what the archive says of them, in its order; what is known changes
    nothing.

    A change that was archived and never committed counts when it is the last:
    nothing else was decided after it.  One that another followed does not count.
    """
    lock_school(conn, school_id)
    changes = [one for one in decided if isinstance(one, kept.Payout)]
    last = {change.external_key: change for change in changes}
    parts = {(change.external_key, change.parts): change for change in changes if change.part_minor}
    for key, change in last.items():
        row = store.by_key(conn, school_id, key)
        known = row.parts if row is not None else 0
        if row is not None and (row.parts, row.changed_at) > (change.parts, change.changed_at):
            continue
        numbers = range(known + 1, change.parts + 1)
        found = {number: parts[key, number] for number in numbers if (key, number) in parts}
        for number in numbers:
            if number not in found:
                why = f"payout:{key}:{number}: its amount is not in the archive"
                alarms.raise_alarm(conn, school_id, "payout_unread", why, now)
        paid = [
            _entry(key, each.account_id, number, each.part_minor, each.changed_at)
            for number, each in found.items()
        ]
        results = accounting.post(conn, school_id, paid, now)
        for entry, result in zip(paid, results, strict=True):
            if result.refusal:
                why = f"{entry.external_key}: the books refuse it with number {result.refusal}"
                alarms.raise_alarm(conn, school_id, "payout_refused", why, now)
        before = row.paid_minor if row is not None else 0
        values = (
            school_id, store.next_number(conn, school_id), key, change.account_id, change.wanted_minor,
            change.reason, change.asked_by, change.asked_at, change.changed_at,
        )  # fmt: skip
        total = before + sum(each.part_minor for each in found.values())
        store.put_back(conn, values, (change.parts, total, STATES[change.state]))
    holds = [one for one in decided if isinstance(one, kept.Hold)]
    _hold_again(conn, school_id, holds[-1] if holds else None, now)


def _end(conn: Connection, school_id: int, row: Any, state: str, now: int) -> None:
    """End a request; what the purse still has may be placed on a till again."""
    store.set_state(conn, school_id, row.number, state, now)
    _devices().offer_rights(conn, school_id, [row.account_id], now)


def _awaited(conn: Connection, school_id: int, account_id: int) -> tuple[Awaited, ...]:
    return tuple(
        Awaited(one.label, one.out, one.online, one.status, one.last_seen_at)
        for one in _devices().holders(conn, school_id, account_id)
        if one.out
    )


def _payout(row: Any, awaited: tuple[Awaited, ...] = (), state: str = "") -> Payout:
    return Payout(
        row.number, row.external_key, row.account_id, row.wanted_minor, row.paid_minor, row.reason,
        row.asked_by, state or row.state, row.asked_at, row.changed_at, awaited,
    )  # fmt: skip


def _devices() -> Any:
    # Here and not above: devices asks for what is reserved before it places money, so it imports this room.
    from cloud.devices import service as devices

    return devices
