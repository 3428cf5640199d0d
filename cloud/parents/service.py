"""What a parent may see and do.

Promises: everything starts at the children that people.service gives this adult,
so an account, an entry or a record of another family is not found.  A code is
asked for with the same rows and the same answer whether or not the phone is
known.  Words, and amounts as text, are the templates' business.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.attendance import service as attendance
from cloud.codes import service as codes
from cloud.devices import service as devices
from cloud.formats import SchoolTime, is_known_time, sentence
from cloud.keys import Vault, VaultError
from cloud.meals import service as meals
from cloud.notifications import service as notifications
from cloud.people import service as people
from cloud.records import service as records
from cloud.sessions import service as sessions
from protocols.ids import hex8, parse_hex8

LINES_A_PAGE = 30
_LINES_OF_TODAY = 60


class Entered(NamedTuple):
    """The answer to a code: a session's token, or why there is none."""

    tried: codes.Tried
    token: str = ""


class Silent(NamedTuple):
    """A gate without connection, and since when if that is known."""

    label: str
    since: int | None


class Presence(NamedTuple):
    """`state`: in, out or unknown, by the passage at `since`; `silent` gates may know more than we do."""

    state: str
    since: int
    device_label: str
    silent: list[Silent]


class Line(NamedTuple):
    """One line of a day.  `kind`: in, out, not_turned, purchase."""

    at: int
    kind: str
    device_label: str
    good: str = ""
    amount_minor: int = 0


class ChildToday(NamedTuple):
    """One child's card; `key` is the account number as it stands in addresses."""

    key: str
    name: str
    class_name: str
    balance_minor: int
    presence: Presence
    lines: list[Line]


class Child(NamedTuple):
    """A child on the money page."""

    key: str
    name: str
    class_name: str
    balance_minor: int


class MoneyLine(NamedTuple):
    """An entry as the child's purse sees it; `learnt_at` is when the books had it."""

    entry_id: int
    kind: str
    at: int
    learnt_at: int
    good: str
    amount_minor: int
    device_label: str
    seq: int


class Day(NamedTuple):
    """Lines of one school day, the newest first; `at` is a moment of that day."""

    at: int
    lines: list[MoneyLine]


class Money(NamedTuple):
    """The money page; `child` None when the adult has none, `older` the key of the next page or None."""

    children: list[Child]
    child: Child | None
    days: list[Day]
    older: int | None


class Explained(NamedTuple):
    """An entry with everything behind it; `record` None for one that no device wrote."""

    entry_id: int
    kind: str
    happened_at: int
    posted_at: int
    received_at: int
    good: str
    amount_minor: int
    device_label: str
    seq: int
    postings: list[dict[str, Any]]
    record: records.RecordView | None


# Signing in.


def normal_phone_or_none(text: str) -> str | None:
    """A phone as the school's files keep it, or None for what is no phone."""
    try:
        return people.normal_phone(text)
    except people.NoPhone:
        return None


def send_code(conn: Connection, vault: Vault, phone: str, browser: str, now: int) -> codes.Asked:
    """Make a code and, if the phone is somebody's, put it into the outbox."""
    asked = codes.ask(conn, vault, phone, browser, now, codes.six_digits)
    adult = people.adult_by_phone(conn, None, phone)
    if asked.state == codes.SENT and adult is not None:
        notifications.enqueue_code(conn, vault, adult.adult_id, asked.code, now)
    return asked


def enter(
    conn: Connection,
    vault: Vault,
    phone: str,
    browser: str,
    code: str,
    now: int,
    random_bytes: Callable[[int], bytes],
) -> Entered:
    """Judge a code and open a session."""
    tried = codes.check(conn, vault, phone, browser, code, now)
    adult = people.adult_by_phone(conn, None, phone)
    if tried.state != codes.RIGHT or adult is None:
        return Entered(tried)
    token = sessions.start(
        conn,
        vault,
        kind="parent",
        school_id=adult.school_id,
        adult_id=adult.adult_id,
        now=now,
        random_bytes=random_bytes,
    )
    return Entered(tried, token)


def sealed_phone(vault: Vault, phone: str) -> str:
    """A phone for the browser's own cookie: only this cloud reads it."""
    return vault.seal(phone.encode(), b"phone of the door").hex()


def opened_phone(vault: Vault, sealed: str) -> str:
    """What sealed_phone sealed, or an empty text."""
    try:
        return vault.open(bytes.fromhex(sealed), b"phone of the door").decode()
    except (VaultError, ValueError):
        return ""


# Today.


def today(conn: Connection, school_id: int, adult_id: int, times: SchoolTime, now: int) -> list[ChildToday]:
    """A card for each child of this adult."""
    children = people.children_of(conn, school_id, adult_id)
    fleet = devices.fleet(conn, school_id)
    labels = {device.device_id: device.label for device in fleet}
    silent = [Silent(device.label, device.last_seen_at) for device in fleet if _is_silent_gate(device)]
    goods = meals.naming(conn, school_id, times.language)
    balances = _balances(conn, school_id, [child.account_id for child in children])
    cards = []
    for child in children:
        passages = attendance.today(conn, school_id, child.account_id, times.day(now))
        answer = attendance.answer(passages)
        lines = [_passage_line(passage, labels) for passage in passages]
        lines += _purchases(conn, school_id, child.account_id, times.day_bounds(times.day(now)), goods)
        cards.append(
            ChildToday(
                key=hex8(child.account_id),
                name=child.short_name,
                class_name=child.class_name,
                balance_minor=balances[child.account_id],
                presence=Presence(answer.state, answer.since, labels.get(answer.device_id, ""), silent),
                lines=sorted(lines, key=lambda line: line.at),
            )
        )
    return cards


def _codes(account_id: int) -> list[str]:
    """The accounts of the books that are a child's: its purse, what it owes for meals, meals of a fund."""
    benefits = [
        f"{accounting.BENEFITS}{hex8(account_id)}:{meals.word_of_hot_meal(meal)}" for meal in meals.HOT_MEALS
    ]
    return [accounting.purse(account_id), accounting.credit(account_id), *benefits]


def _balances(conn: Connection, school_id: int, account_ids: Sequence[int]) -> dict[int, int]:
    """account_id to what a family has: the purse less what is owed for meals."""
    codes = {
        account_id: (accounting.purse(account_id), accounting.credit(account_id))
        for account_id in account_ids
    }
    found = accounting.balances(conn, school_id, [code for pair in codes.values() for code in pair])
    return {account_id: found[purse] + found[credit] for account_id, (purse, credit) in codes.items()}


def _is_silent_gate(device: Any) -> bool:
    return device.kind == "gate" and not device.online


def _passage_line(passage: attendance.Passage, labels: dict[int, str]) -> Line:
    kind = passage.direction if passage.turned else "not_turned"
    at = _when(passage.happened_at, passage.learnt_at)
    return Line(at, kind, labels.get(passage.device_id, ""))


def _purchases(
    conn: Connection, school_id: int, account_id: int, bounds: tuple[int, int], goods: meals.Naming
) -> list[Line]:
    first, after = bounds
    history = accounting.history(conn, school_id, _codes(account_id), _LINES_OF_TODAY)
    return [
        Line(it.happened_at, "purchase", it.device_label or "", sentence(goods(it.lines)), -it.amount_minor)
        for it in history
        if it.kind == "sale" and first <= it.happened_at < after
    ]


# Money.


def money(
    conn: Connection,
    school_id: int,
    adult_id: int,
    account_id: int | None,
    times: SchoolTime,
    *,
    before: int | None = None,
) -> Money | None:
    """The history of one child, the first one without a number; None when the child is not theirs."""
    children = _children(conn, school_id, adult_id)
    if not children:
        return Money([], None, [], None) if account_id is None else None
    wanted = children[0].key if account_id is None else hex8(account_id)
    for child in children:
        if child.key == wanted:
            lines, older = _lines(conn, school_id, child, times, before)
            return Money(children, child, _by_day(lines, times), older)
    return None


def entry(
    conn: Connection, school_id: int, adult_id: int, account_id: int | None, entry_id: int, times: SchoolTime
) -> tuple[Child, Explained] | None:
    """One entry of a child's purse down to the bytes of the device; None when it is not theirs."""
    for child in _children(conn, school_id, adult_id):
        if account_id is not None and child.key == hex8(account_id):
            explained = _explained(conn, school_id, account_id, entry_id, times)
            return None if explained is None else (child, explained)
    return None


def _children(conn: Connection, school_id: int, adult_id: int) -> list[Child]:
    found = people.children_of(conn, school_id, adult_id)
    balances = _balances(conn, school_id, [child.account_id for child in found])
    return [
        Child(
            hex8(child.account_id),
            child.short_name,
            child.class_name,
            balances[child.account_id],
        )
        for child in found
    ]


def _lines(
    conn: Connection, school_id: int, child: Child, times: SchoolTime, before: int | None
) -> tuple[list[MoneyLine], int | None]:
    goods = meals.naming(conn, school_id, times.language)
    codes = _codes(parse_hex8(child.key))
    rows = accounting.history(conn, school_id, codes, LINES_A_PAGE + 1, before)
    older = rows[LINES_A_PAGE - 1].entry_id if len(rows) > LINES_A_PAGE else None
    lines = [
        MoneyLine(
            row.entry_id,
            row.kind,
            _when(row.happened_at, row.posted_at),
            row.posted_at,
            sentence(goods(row.lines)),
            row.amount_minor,
            row.device_label or "",
            row.seq or 0,
        )
        for row in rows[:LINES_A_PAGE]
        # Money that repays what was owed for a meal changes nothing for the family.
        if row.amount_minor or row.kind != "settlement"
    ]
    return lines, older


def _by_day(lines: Sequence[MoneyLine], times: SchoolTime) -> list[Day]:
    """A record that came late stands under the day it happened, not the day it was learnt."""
    ordered = sorted(lines, key=lambda line: (line.at, line.entry_id), reverse=True)
    days = groupby(ordered, key=lambda line: times.day(line.at))
    return [Day(of_day[0].at, of_day) for of_day in (list(group) for _, group in days)]


def _explained(
    conn: Connection, school_id: int, account_id: int, entry_id: int, times: SchoolTime
) -> Explained | None:
    try:
        found = accounting.explain(conn, school_id, entry_id)
    except accounting.NoSuchEntry:
        return None
    mine = [part for part in found["postings"] if part["code"] in _codes(account_id)]
    if not mine:
        return None
    source = found["record"]
    goods = meals.naming(conn, school_id, times.language)
    return Explained(
        entry_id=entry_id,
        kind=found["kind"],
        happened_at=_when(found["happened_at"], found["posted_at"]),
        posted_at=found["posted_at"],
        received_at=source["received_at"] if source else found["posted_at"],
        good=sentence(goods(source["lines"])) if source else "",
        amount_minor=sum(part["amount_minor"] for part in mine),
        device_label=source["device_label"] if source else "",
        seq=source["seq"] if source else 0,
        postings=found["postings"],
        record=records.view(bytes.fromhex(source["raw_hex"])) if source else None,
    )


def _when(happened_at: int, learnt_at: int) -> int:
    """When something happened, or at least was learnt of, if the device's clock was not set."""
    return happened_at if is_known_time(happened_at) else learnt_at
