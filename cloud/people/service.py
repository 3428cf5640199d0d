"""Schools, pupils, parents: the rules of who is who, and the only way to a name.

Promises: every function takes an open connection first and works inside the
caller's transaction; a staff member who sees names leaves a line in the log of
reads in that same transaction.  Leaves files of a school to importer.py and
cards to cloud/cards.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from cloud.people import store
from cloud.people.phones import NoPhone, normal_phone
from protocols.ids import random_id

__all__ = ["NoPhone", "normal_phone"]

MESSAGE_STALE_S = 2 * 60 * 60
RandomBytes = Callable[[int], bytes]


class NoSuchSchool(LookupError):
    """The number names no school of this cloud."""


class School(NamedTuple):
    """`settings` is the school's JSON, as read; see its keys where they are used."""

    school_id: int
    name: str
    time_zone: str
    currency: str
    country: str
    settings: dict[str, Any]

    @property
    def message_stale_s(self) -> int | None:
        """Seconds after which an event is no longer told (`message_stale_s`); None: told at any age."""
        value: int | None = self.settings.get("message_stale_s", MESSAGE_STALE_S)
        return value


class SchoolClass(NamedTuple):
    """A class; `home_device` is the canteen line where its pupils' money is placed."""

    class_id: int
    name: str
    home_device: int | None


class Account(NamedTuple):
    """A pupil without a name, for tables of devices, cards and books."""

    account_id: int
    external_id: str
    class_id: int
    home_device: int | None
    status: str

    @property
    def active(self) -> bool:
        """Whether this pupil is at the school: cards of others open nothing."""
        return self.status == "active"


class Pupil(NamedTuple):
    """A pupil with a name.  `status` is `active` or `left`, `shift` 1 to 3."""

    account_id: int
    external_id: str
    last_name: str
    first_name: str
    middle_name: str
    class_id: int
    class_name: str
    shift: int
    status: str

    @property
    def short_name(self) -> str:
        """What messages and the parents' page call a child."""
        return short_name(self.first_name)


class Child(NamedTuple):
    """A pupil as one adult sees them; `relation` is that adult's word, such as мать."""

    account_id: int
    last_name: str
    first_name: str
    middle_name: str
    class_id: int
    class_name: str
    shift: int
    status: str
    relation: str

    @property
    def short_name(self) -> str:
        """What messages and the parents' page call a child."""
        return short_name(self.first_name)


class Adult(NamedTuple):
    """A parent or another adult of a family; `adult_id` is unique in the whole cloud."""

    school_id: int
    adult_id: int
    last_name: str
    first_name: str
    middle_name: str
    phone: str
    language: str


class Staff(NamedTuple):
    """Who of the staff reads names, why and when: what the log of reads keeps."""

    who: str
    reason: str
    at: int


def short_name(first_name: str) -> str:
    """First name only; no diminutive is guessed."""
    return first_name


def create_school(
    conn: Connection,
    name: str,
    time_zone: str,
    *,
    settings: dict[str, Any] | None = None,
    random_bytes: RandomBytes = os.urandom,
) -> int:
    """A new school; returns its random number.  ValueError when the time zone is not an IANA name."""
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("time_zone is not an IANA name such as Europe/Moscow") from error
    taken = {row.school_id for row in store.schools(conn, None)}
    school_id = new_ids(taken, 1, random_bytes)[0]
    store.add_school(
        conn,
        {
            "school_id": school_id,
            "name": name,
            "time_zone": time_zone,
            "settings": json.dumps(settings or {}, sort_keys=True),
            "incarnation_id": random_id(random_bytes),
        },
    )
    return school_id


def school(conn: Connection, school_id: int) -> School:
    """The school, or NoSuchSchool."""
    for row in store.schools(conn, school_id):
        return _school(row)
    raise NoSuchSchool(school_id)


def schools(conn: Connection) -> list[School]:
    """All schools, by number."""
    return [_school(row) for row in store.schools(conn, None)]


def set_message_stale_s(conn: Connection, school_id: int, seconds: int | None) -> None:
    """How old an event may be to be told; None: any age.  Acts on what is not sent yet."""
    if seconds is not None and seconds <= 0:
        raise ValueError("message_stale_s is more than 0")
    settings = school(conn, school_id).settings | {"message_stale_s": seconds}
    store.set_settings(conn, school_id, json.dumps(settings, sort_keys=True))


def classes(conn: Connection, school_id: int) -> list[SchoolClass]:
    """Classes in the order they came."""
    return [SchoolClass(row.class_id, row.name, row.home_device) for row in store.classes(conn, school_id)]


def set_home_device(conn: Connection, school_id: int, class_id: int, device_id: int | None) -> None:
    """Where the money of a class is placed from the next table on; the caller publishes tables."""
    store.set_home_device(conn, school_id, class_id, device_id)


def accounts(conn: Connection, school_id: int) -> list[Account]:
    """All pupils without names, by account; for systems, so nothing is logged."""
    return [Account(*row) for row in store.accounts(conn, school_id)]


def pupils(conn: Connection, school_id: int, staff: Staff | None = None) -> list[Pupil]:
    """All pupils with names, by the school's own id.

    `staff` is given whenever a person will see them; the read is then logged,
    so the connection must be one that may write.
    """
    if staff is not None:
        log_read(conn, school_id, staff, "pupils")
    return [_pupil(row) for row in store.pupils(conn, school_id)]


def pupil(conn: Connection, school_id: int, account_id: int, staff: Staff | None = None) -> Pupil | None:
    """One pupil, or None; see `pupils` for `staff`."""
    if staff is not None:
        log_read(conn, school_id, staff, f"pupil {account_id:08x}")
    for row in store.pupils(conn, school_id, [account_id]):
        return _pupil(row)
    return None


def short_names(conn: Connection, school_id: int, account_ids: Iterable[int]) -> dict[int, str]:
    """What messages call each of these pupils; for messages to their own adults only."""
    return {row.account_id: short_name(row.first_name) for row in store.pupils(conn, school_id, account_ids)}


def children_of(conn: Connection, school_id: int, adult_id: int) -> list[Child]:
    """The children this adult may see, by first name.  The one check of family for all pages."""
    return [
        Child(
            row.account_id, row.last_name, row.first_name, row.middle_name, row.class_id, row.class_name,
            row.shift, row.status, row.relation,
        )
        for row in store.children(conn, school_id, adult_id)
    ]  # fmt: skip


def adults_of(conn: Connection, school_id: int, account_id: int, staff: Staff | None = None) -> list[Adult]:
    """The adults of one child; see `pupils` for `staff`.  Never shown to another adult."""
    if staff is not None:
        log_read(conn, school_id, staff, f"adults of {account_id:08x}")
    return adults_of_accounts(conn, school_id, [account_id])[account_id]


def adults_of_accounts(
    conn: Connection, school_id: int, account_ids: Iterable[int]
) -> defaultdict[int, list[Adult]]:
    """The adults of many children at once, for the worker."""
    links = store.guardians(conn, school_id, account_ids)
    wanted = {link.adult_id for link in links}
    known = {row.adult_id: _adult(row) for row in store.adults(conn, school_id, wanted)}
    found: defaultdict[int, list[Adult]] = defaultdict(list)
    for link in links:
        found[link.account_id].append(known[link.adult_id])
    return found


def phones(conn: Connection, school_id: int, adult_ids: Iterable[int]) -> dict[int, str]:
    """The E.164 phones of these adults, for handing their own messages to a channel."""
    return {row.adult_id: row.phone for row in store.adults(conn, school_id, adult_ids)}


def adult(conn: Connection, adult_id: int) -> Adult | None:
    """One adult by the number that is unique in the whole cloud, or None."""
    row = store.adult_by_id(conn, adult_id)
    return None if row is None else _adult(row)


def adult_by_phone(conn: Connection, school_id: int | None, phone: str) -> Adult | None:
    """The adult with this E.164 phone, or None.

    With school_id None the schools are searched in the order of their numbers:
    whoever has children in two schools is an adult of each (see adults_by_phone).
    """
    for row in store.adults_by_phone(conn, school_id, phone):
        return _adult(row)
    return None


def adults_by_phone(conn: Connection, phone: str) -> list[Adult]:
    """This phone's adult in each school that knows it."""
    return [_adult(row) for row in store.adults_by_phone(conn, None, phone)]


def set_language(conn: Connection, school_id: int, adult_id: int, language: str) -> None:
    """The language of an adult's messages, `ru` or `en`."""
    if language not in ("ru", "en"):
        raise ValueError("language is ru or en")
    store.change_adult(conn, school_id, adult_id, {"language": language})


def log_read(conn: Connection, school_id: int, staff: Staff, what: str) -> None:
    """Keep that staff read personal data; `what` names accounts by number, never by name."""
    store.log_read(conn, school_id, staff.at, staff.who, what, staff.reason)


def reads(conn: Connection, school_id: int, limit: int = 100) -> list[tuple[int, str, str, str]]:
    """The latest lines of the log of reads, newest first: (at, who, what, reason)."""
    return [(row.at, row.who, row.what, row.reason) for row in store.reads(conn, school_id, limit)]


def new_ids(taken: Iterable[int], count: int, random_bytes: RandomBytes = os.urandom) -> list[int]:
    """Random 32-bit numbers that nobody has: they say nothing of whom they are given to."""
    known = set(taken)
    drawn: list[int] = []
    while len(drawn) < count:
        number = random_id(random_bytes)
        if number not in known:
            known.add(number)
            drawn.append(number)
    return drawn


def person_number(random_bytes: RandomBytes = os.urandom) -> int:
    """52 random bits for a person or an adult: unique in the whole cloud, exact in JSON too."""
    return (int.from_bytes(random_bytes(7), "big") >> 4) or person_number(random_bytes)


def _school(row: Any) -> School:
    return School(row.school_id, row.name, row.time_zone, row.currency, row.country, json.loads(row.settings))


def _pupil(row: Any) -> Pupil:
    return Pupil(
        row.account_id, row.external_id, row.last_name, row.first_name, row.middle_name, row.class_id,
        row.class_name, row.shift, row.status,
    )  # fmt: skip


def _adult(row: Any) -> Adult:
    return Adult(
        row.school_id, row.adult_id, row.last_name, row.first_name, row.middle_name, row.phone, row.language
    )
