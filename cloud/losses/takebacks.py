"""Purchases with a lost card that are taken back: one decision for each sale, and the entry behind it.

Promises: a sale is taken back once, under one key of the books; the money goes where it came from, so a meal
that a fund paid gives nothing to the purse; beyond ALONE_MINOR of one report nothing is posted until a second
person has agreed to the same hash.  A decision stands in the raw archive before it is committed.  Who pays:
the school's `loss:card`, or the caterer where the till had applied the block before it sold (docs/decisions).
Posted only when the till's journal has passed the day of the sale: until then the canteen may still cancel
it, and its price would come back twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, CLAIM, LOST_CARDS, Entry
from cloud.alarms import service as alarms
from cloud.archive import Archive, Decision
from cloud.benefits import service as benefits
from cloud.db import begin, lock_school, reading
from cloud.devices import service as devices
from cloud.losses import store
from cloud.losses.uses import PURCHASE, Place, Use
from protocols.ids import hex8

ALONE_MINOR = 50_000
"""So much of one report one person may take back alone, minor units."""
WAITS, AGREED, DECLINED, POSTED, REFUSED = "waits", "agreed", "declined", "posted", "refused"
LOSS, OF_CATERER = "loss", "caterer"


class Refused(ValueError):
    """It cannot be asked or decided so; carries the reason."""


class Sale(NamedTuple):
    """What was decided about one sale; `state`: WAITS (for a second person), AGREED (posted when the till has
    closed its day), DECLINED, POSTED, REFUSED (by the books: a person must look)."""

    place: Place
    amount_minor: int
    payer: str
    state: str
    request: str
    asked_by: str
    reason: str
    asked_at: int
    decided_by: str
    posted_at: int | None


class Waiting(NamedTuple):
    """A request that waits for a second person: `request` is the hash that both must mean."""

    request: str
    number: int
    amount_minor: int
    sales: int
    asked_by: str
    asked_at: int
    reason: str


def sales_of(conn: Connection, school_id: int, number: int) -> dict[Place, Sale]:
    """The sales of a report that somebody has decided about."""
    return {sale.place: sale for sale in map(_sale, store.sales_of(conn, school_id, number))}


def decided(conn: Connection, school_id: int, uses: Sequence[Use]) -> dict[Place, Sale]:
    """What somebody has decided about these uses, under whatever report: two may tell of one sale."""
    rows = store.sales_at(conn, school_id, [use.place for use in uses])
    return {sale.place: sale for sale in map(_sale, rows)}


def waiting(conn: Connection, school_id: int) -> list[Waiting]:
    """What waits for a second person in a school."""
    by_request: defaultdict[str, list[Any]] = defaultdict(list)
    for row in store.sales_in(conn, school_id, WAITS):
        by_request[row.request].append(row)
    return [
        Waiting(
            request, rows[0].number, sum(row.amount_minor for row in rows), len(rows), rows[0].asked_by,
            rows[0].asked_at, rows[0].reason,
        )
        for request, rows in sorted(by_request.items())
    ]  # fmt: skip


def can_be_taken_back(use: Use, known: Sale | None) -> bool:
    """Whether a use is a purchase that nobody has decided about, and that a caterer was paid for."""
    is_free = known is None or known.state == DECLINED
    return use.kind == PURCHASE and not use.is_voided and not use.refusal and is_free


def ask(
    conn: Connection,
    archive: Archive,
    school_id: int,
    number: int,
    uses: Sequence[Use],
    chosen: Iterable[Place],
    *,
    by: str,
    reason: str,
    now: int,
) -> str:
    """Take these purchases of a report back; returns the request's hash, "" when all are decided already.

    `uses`: what was done after the report.  Agreed at once within ALONE_MINOR of the report, else it waits
    for a second person.  Refused: no reason, nobody's name, a purchase that is not one after the report.
    """
    lock_school(conn, school_id)
    known = decided(conn, school_id, uses)
    offered = {use.place: use for use in uses if use.kind == PURCHASE}
    wanted = sorted(set(chosen))
    if not by.strip() or not reason.strip():
        raise Refused("a reason and a name are needed")
    if any(place not in offered for place in wanted):
        raise Refused("not a purchase with this card after the report")
    fresh = [offered[place] for place in wanted if can_be_taken_back(offered[place], known.get(place))]
    if not fresh:
        return ""
    so_far = sales_of(conn, school_id, number).values()
    before = sum(sale.amount_minor for sale in so_far if sale.state != DECLINED)
    state = AGREED if before + sum(use.amount_minor for use in fresh) <= ALONE_MINOR else WAITS
    request = _hash(school_id, number, fresh, by, reason, now)
    rows = [
        (
            school_id, *use.place, number, use.amount_minor, _payer(use), state, request, by, reason, now, "",
            None, None,
        )
        for use in fresh
    ]  # fmt: skip
    store.ask(conn, rows)
    _keep(conn, archive, school_id, [use.place for use in fresh], now)
    step(conn, school_id, now)
    return request


def _keep(conn: Connection, archive: Archive, school_id: int, places: Sequence[Place], now: int) -> None:
    """Put decisions as they stand where a restore finds them."""
    rows = [row for row in store.sales_at(conn, school_id, places) if _place(row) in places]
    archive.append(
        [
            Decision(
                school_id, *_place(row)[:2], now, row.seq, row.number, row.amount_minor, row.asked_at,
                row.decided_at or 0, row.payer, row.state, row.request, row.asked_by, row.reason,
                row.decided_by,
            )
            for row in rows
        ],
        now,
    )  # fmt: skip


def decide(
    conn: Connection, archive: Archive, school_id: int, request: str, *, by: str, agree: bool, now: int
) -> int:
    """A second person's word; returns how many sales it was about, 0 when nothing waits under this hash.

    Refused: the same person as who asked, or nobody.
    """
    lock_school(conn, school_id)
    rows = [row for row in store.sales_in(conn, school_id, WAITS) if row.request == request]
    if not rows:
        return 0
    if not by.strip() or by.strip().casefold() == rows[0].asked_by.strip().casefold():
        raise Refused("another person has to agree")
    count = store.decide(conn, school_id, request, AGREED if agree else DECLINED, by, now)
    _keep(conn, archive, school_id, [_place(row) for row in rows], now)
    step(conn, school_id, now)
    return count


def drive(engine: Engine, now: int) -> int:
    """One step of every school in which something is agreed; returns how many sales were posted."""
    with reading(engine) as conn:
        schools = store.schools_with(conn, AGREED)
    count = 0
    for school_id in schools:
        with begin(engine) as conn:
            count += step(conn, school_id, now)
    return count


def step(conn: Connection, school_id: int, now: int) -> int:
    """Post what is agreed and whose till has passed the day; returns how many.  Nothing in recovery."""
    lock_school(conn, school_id)
    rows = store.sales_in(conn, school_id, AGREED)
    if not rows or devices.in_recovery(conn, school_id):
        return 0
    days = store.sale_days(conn, school_id, [_place(row) for row in rows])
    journals = store.journals(conn, school_id)
    closed = {day: benefits.closed_by(conn, school_id, day) for day in set(days.values())}
    settled, purses = [], set()
    for row in rows:
        place = _place(row)
        day, journal = days.get(place, 0), journals[place[:2]]
        is_past = (
            journal.status == "closed" or (journal.last_day or 0) > day or place[:2] in closed.get(day, ())
        )
        if is_past:
            state, codes = _post(conn, school_id, row, now)
            settled.append((state, now, school_id, *place))
            purses |= codes
    store.settle(conn, settled)
    _offer(conn, school_id, purses, now)
    return sum(row[0] == POSTED for row in settled)


def _post(conn: Connection, school_id: int, row: Any, now: int) -> tuple[str, set[str]]:
    """The state after posting one sale's way back, and the accounts that got money."""
    name = f"{hex8(row.device_id)}:{row.epoch}:{row.seq}"
    sold, key = f"record:{name}", f"lost:{name}"
    if accounting.is_posted(conn, school_id, key):
        return POSTED, set()
    payer = CATERER if row.payer == OF_CATERER else LOST_CARDS
    lines: defaultdict[str, int] = defaultdict(int)
    for code, amount in accounting.undoing(conn, school_id, sold, with_reversals=True):
        lines[payer if code == CATERER else code] += amount
    if lines[payer] >= 0 or CLAIM in lines:
        return DECLINED, set()  # the canteen has cancelled it, or no money of anybody paid it
    postings = [(code, amount) for code, amount in sorted(lines.items()) if amount]
    entry = Entry(key, "reversal", now, postings, reason=f"lost card {row.number}", corrects=sold)
    refusal = accounting.post(conn, school_id, [entry], now)[0].refusal
    if refusal:
        why = f"{key}: the books refuse it with number {refusal}"
        alarms.raise_alarm(conn, school_id, "lost_card_refused", why, now)
        return REFUSED, set()
    return POSTED, {code for code, amount in postings if amount > 0}


def _offer(conn: Connection, school_id: int, codes: set[str], now: int) -> None:
    """Money is back in these purses: debts for meals first, then the home tills."""
    accounts = [
        int(code.removeprefix(accounting.PURSES), 16) for code in sorted(codes) if code.startswith("purse:")
    ]
    devices.repay(conn, school_id, accounts, now)
    devices.offer_rights(conn, school_id, accounts, now)


def _payer(use: Use) -> str:
    """Who pays: a till that knew of the block and sold by this very card, else the school."""
    return OF_CATERER if use.was_closed and use.is_sure else LOSS


def _hash(school_id: int, number: int, uses: Sequence[Use], by: str, reason: str, now: int) -> str:
    """What both people mean: the report, each sale with its amount and payer, who asked, why and when."""
    parts = [
        f"{hex8(use.place[0])}:{use.place[1]}:{use.place[2]} {use.amount_minor} {_payer(use)}" for use in uses
    ]
    text = "\n".join(["klasskart/1/lost", str(school_id), str(number), *parts, by, reason, str(now)])
    return hashlib.sha256(text.encode()).hexdigest()


def _place(row: Any) -> Place:
    return row.device_id, row.epoch, row.seq


def _sale(row: Any) -> Sale:
    return Sale(
        _place(row), row.amount_minor, row.payer, row.state, row.request, row.asked_by, row.reason,
        row.asked_at, row.decided_by, row.posted_at,
    )  # fmt: skip
