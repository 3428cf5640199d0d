"""What the office sees of its school.

Promises: numbers and lists without names; a name comes only by an explicit step
(a search, a pupil's page, "show the name"), with a reason, and is written to the
log of reads in the same transaction.  Leaves words to the templates.
"""

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.alarms import service as alarms
from cloud.attendance import service as attendance
from cloud.cards import service as cards
from cloud.devices import service as devices
from cloud.formats import SchoolTime, sentence
from cloud.meals import service as meals
from cloud.notifications import service as notifications
from cloud.payouts import service as payouts
from cloud.people import service as people
from cloud.reconciliation import service as reconciliation
from cloud.records import service as records
from protocols.errors import CHAIN_GAP
from protocols.ids import hex8

Any_ = TypeVar("Any_")
WHO = "office"
REASONS = ("parent asks", "canteen check", "lost card", "same number", "other", "record")
RECORDS_A_PAGE = 30
_FOUND_MAX = 20
_LINES_OF_PUPIL = 40
_ALARMS = 20
_RECORD_QUERY = re.compile(r"(.+?)[\s,#№]+(\d{1,10})")


class Refusal(NamedTuple):
    """Bad messages of one kind."""

    code: int
    number: int


class Device(NamedTuple):
    """One line of the fleet; `unsent` None when the device has not told.

    `lock_reason`: the refusal number for which it takes no card, by its last HELLO, or 0.
    """

    device_id: int
    key: str
    label: str
    kind: str
    status: str
    is_online: bool
    last_seen_at: int | None
    unsent: int | None
    table_version: int
    is_table_old: bool
    lock_reason: int
    refusals: list[Refusal]


class Fleet(NamedTuple):
    """All devices, those with problems first.

    `strangers`: bad messages of devices nobody knows; `refused`: bad messages
    and records of all time, the last of them at `refused_at` (0: never; records
    that came ahead of a lost message are in order); `in_recovery`: the database
    was set back, and nothing is granted until the tills were read.
    """

    devices: list[Device]
    silent: list[Device]
    strangers: list[Refusal]
    refused: int
    refused_at: int
    in_recovery: bool = False


class Found(NamedTuple):
    """A pupil that a search found."""

    key: str
    name: str
    class_name: str


class Alike(NamedTuple):
    """A card that a reader cannot tell from others of its group; `is_part`: no reader takes it."""

    key: str
    class_name: str
    kind: str
    is_closed: bool
    issued_at: int
    is_part: bool


class Line(NamedTuple):
    """One line of a pupil's page; `record`: (device key, epoch, number) or None."""

    at: int
    kind: str
    good: str
    device_label: str
    amount_minor: int
    record: tuple[str, int, int] | None


class Day(NamedTuple, Generic[Any_]):
    """Lines of one day, the newest first; `at` is a moment of that day."""

    at: int
    lines: list[Any_]


def fleet(conn: Connection, school_id: int) -> Fleet:
    """How the devices are."""
    refusals = devices.refusals(conn, school_id)
    known = [
        Device(
            device_id=row.device_id,
            key=hex8(row.device_id),
            label=row.label,
            kind=row.kind,
            status=row.status,
            is_online=bool(row.online),
            last_seen_at=row.last_seen_at,
            unsent=row.unsent,
            table_version=row.table_version,
            is_table_old=row.table_version < row.table_wanted,
            lock_reason=row.state.get("locked", 0),
            refusals=[Refusal(each.code, each.count) for each in refusals if each.device_id == row.device_id],
        )
        for row in devices.fleet(conn, school_id)
    ]
    known.sort(key=lambda one: (one.status == "open", one.is_online, not one.refusals, one.label))
    strangers = [Refusal(each.code, each.count) for each in refusals if each.device_id == 0]
    return Fleet(
        known,
        [one for one in known if not one.is_online],
        strangers,
        sum(each.count for each in refusals),
        max((each.last_at for each in refusals if each.code != CHAIN_GAP), default=0),
        devices.in_recovery(conn, school_id),
    )


def day(conn: Connection, school_id: int, times: SchoolTime, now: int) -> dict[str, Any]:
    """The school day at a glance."""
    seen = fleet(conn, school_id)
    return {
        "is_refused_today": seen.refused_at >= times.day_bounds(times.day(now))[0],
        "devices": seen.devices,
        "silent": seen.silent,
        "refused": seen.refused,
        "counts": attendance.counts(conn, school_id, times.day(now)),
        "sales": accounting.sales(conn, school_id, *times.day_bounds(times.day(now))),
        "waiting": notifications.counts(conn, school_id).unsettled,
        "books_sum": accounting.books_sum(conn, school_id),
    }


def reconciled(conn: Connection, school_id: int, text: str, today: int) -> dict[str, Any]:
    """A day by its three sides, and today's bound; ValueError unless `text` is "" or a day until today."""
    day = reconciliation.day_number(text) if text else reconciliation.usual_day(conn, school_id, today)
    if not 0 < day <= today:
        raise ValueError(text)
    return {
        "found": reconciliation.reconcile(conn, school_id, day),
        "bound": reconciliation.bound(conn, school_id),
        "day": reconciliation.day_text(day),
        "newest": reconciliation.day_text(today),
        "before": reconciliation.day_text(day - 1),
        "after": reconciliation.day_text(day + 1) if day < today else "",
    }


def open_payouts(conn: Connection, school_id: int) -> dict[str, Any]:
    """Requests for money back that have not come to their end, without names."""
    return {
        "payouts": payouts.payouts(conn, school_id, only_open=True),
        "in_recovery": devices.in_recovery(conn, school_id),
        "hold": payouts.held(conn, school_id),
    }


def device(conn: Connection, school_id: int, device_id: int) -> dict[str, Any] | None:
    """One device, what it was asked to do by whom and why, its alarms; None when there is none."""
    for one in fleet(conn, school_id).devices:
        if one.device_id == device_id:
            commands = devices.commands_of(conn, school_id, device_id)
            return {"one": one, "commands": commands, "alarms": alarms_of(conn, school_id, one.key)}
    return None


def alarms_of(conn: Connection, school_id: int, key: str = "") -> list[alarms.Alarm]:
    """The latest alarms; with a device's key those that name it."""
    return [found for found in alarms.alarms(conn, school_id) if key in found.detail][:_ALARMS]


def look_alikes(conn: Connection, school_id: int) -> list[list[Alike]]:
    """The cards that a reader of the school cannot tell from each other, group by group, without names."""
    is_lossy = bool(devices.lossy(conn, school_id))
    classes = {each.class_id: each.name for each in people.classes(conn, school_id)}
    names = {each.account_id: classes[each.class_id] for each in people.accounts(conn, school_id)}
    return [
        [
            Alike(
                hex8(card.account_id), names[card.account_id], card.kind, card.status != "active",
                card.issued_at, card.is_part,
            )
            for card in group
        ]
        for group in cards.look_alikes(conn, school_id)
        if is_lossy or any(card.is_part for card in group)
    ]  # fmt: skip


def latest(
    conn: Connection, school_id: int, device_id: int | None, before: tuple[int, int] | None
) -> tuple[list[records.Kept], tuple[int, int] | None]:
    """The newest records, of one device or of all; the key of the next page where there is one."""
    if device_id is None:
        ids = [device.device_id for device in devices.fleet(conn, school_id)]
        return records.newest(conn, school_id, ids, RECORDS_A_PAGE), None
    found = records.of_device(conn, school_id, device_id, RECORDS_A_PAGE + 1, before)
    shown = found[:RECORDS_A_PAGE]
    return shown, (shown[-1].epoch, shown[-1].seq) if len(found) > RECORDS_A_PAGE else None


def entries_of(conn: Connection, school_id: int, kept: records.Kept) -> list[dict[str, Any]]:
    """What was put on the books because of a record."""
    numbers = accounting.entries_of_record(conn, school_id, kept.device_id, kept.epoch, kept.seq)
    return [accounting.explain(conn, school_id, number) for number in numbers]


def naming(conn: Connection, school_id: int, language: str) -> meals.Naming:
    """What lines of a sale are called, to stand at the beginning of a line."""
    goods = meals.naming(conn, school_id, language)
    return lambda lines: sentence(goods(lines))


def record_meant(
    conn: Connection, school_id: int, text: str, language_names: dict[str, str]
) -> records.Kept | None:
    """The record that `line-1 5417` or `Линия 1, 5417` names, or None for any other text."""
    shape = _RECORD_QUERY.fullmatch(text.strip())
    if shape is None:
        return None
    place = " ".join(shape[1].replace("\u00a0", " ").split()).casefold()
    for device in devices.fleet(conn, school_id):
        if place in (device.label.casefold(), language_names.get(device.label, "").casefold()):
            return records.of_number(conn, school_id, device.label, int(shape[2]))
    return None


def search(
    conn: Connection, school_id: int, text: str, reason: str, now: int, who: str = ""
) -> tuple[list[Found], bool]:
    """Pupils whose last name begins with the text, and whether there are more; a logged read."""
    wanted = text.strip().casefold().replace("ё", "е")
    if len(wanted) < 2:
        return [], False
    found = [
        _found(pupil)
        for pupil in people.pupils(conn, school_id, _staff(reason, now, who))
        if f"{pupil.last_name} {pupil.first_name}".casefold().replace("ё", "е").startswith(wanted)
    ]
    found.sort(key=lambda one: one.name)
    return found[:_FOUND_MAX], len(found) > _FOUND_MAX


def pupil(
    conn: Connection, school_id: int, account_id: int, reason: str, now: int, who: str = ""
) -> Found | None:
    """One pupil with a name; a logged read."""
    found = people.pupil(conn, school_id, account_id, _staff(reason, now, who))
    return None if found is None else _found(found)


def days_of_pupil(
    conn: Connection, school_id: int, account_id: int, times: SchoolTime, now: int
) -> list[Day[Line]]:
    """A pupil's passages of today and the newest lines of the purse, each with its record."""
    labels = {device.device_id: device.label for device in devices.fleet(conn, school_id)}
    goods = naming(conn, school_id, times.language)
    lines = [
        Line(
            it.happened_at,
            it.direction if it.turned else "not_turned",
            "",
            labels.get(it.device_id, ""),
            0,
            (hex8(it.device_id), it.epoch, it.seq),
        )
        for it in attendance.today(conn, school_id, account_id, times.day(now))
    ]
    lines += [
        Line(
            it.happened_at,
            it.kind,
            goods(it.lines),
            it.device_label or "",
            it.amount_minor,
            None if it.device_id is None or it.seq is None else (hex8(it.device_id), it.epoch or 0, it.seq),
        )
        for it in accounting.history(conn, school_id, accounting.purse(account_id), _LINES_OF_PUPIL)
    ]
    return by_day(lines, lambda line: line.at, times)


def reads(conn: Connection, school_id: int) -> Sequence[tuple[int, str, str, str]]:
    """The log of reads, newest first: (at, who, what, reason)."""
    return people.reads(conn, school_id, 50)


def by_day(lines: Sequence[Any_], moment: Callable[[Any_], int], times: SchoolTime) -> list[Day[Any_]]:
    """Lines under the day they happened on, the newest first, whenever the cloud learnt of them."""
    ordered = sorted(lines, key=moment, reverse=True)
    days = groupby(ordered, key=lambda line: times.day(moment(line)))
    return [Day(moment(of_day[0]), of_day) for of_day in (list(group) for _, group in days)]


def _staff(reason: str, now: int, who: str) -> people.Staff:
    return people.Staff(who or WHO, reason if reason in REASONS else "other", now)


def _found(one: people.Pupil) -> Found:
    return Found(hex8(one.account_id), f"{one.last_name} {one.first_name}", one.class_name)
