"""SQL of the room people.  Rows in, rows out; rules are in service.py and the importers."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from cloud import bulk, db

Mapping = dict[str, Any]


def add_school(conn: Connection, values: Mapping) -> None:
    conn.execute(insert(db.school).values(**values))


def schools(conn: Connection, school_id: int | None) -> Sequence[Any]:
    if school_id is None:
        return bulk.select(conn, "SELECT * FROM school ORDER BY school_id")
    return bulk.select(conn, "SELECT * FROM school WHERE school_id = ?", (school_id,))


def set_settings(conn: Connection, school_id: int, settings: str) -> None:
    conn.execute(update(db.school).where(db.school.c.school_id == school_id).values(settings=settings))


def classes(conn: Connection, school_id: int) -> Sequence[Row]:
    table = db.school_class
    return conn.execute(select(table).where(table.c.school_id == school_id).order_by(table.c.class_id)).all()


def add_classes(conn: Connection, rows: Sequence[Mapping]) -> None:
    if rows:
        conn.execute(insert(db.school_class), rows)


def set_home_device(conn: Connection, school_id: int, class_id: int, device_id: int | None) -> None:
    table = db.school_class
    conn.execute(
        update(table)
        .where(table.c.school_id == school_id, table.c.class_id == class_id)
        .values(home_device=device_id)
    )


def accounts(conn: Connection, school_id: int) -> Sequence[Any]:
    """account_id, external_id, class_id, home_device, status; no names."""
    statement = (
        "SELECT p.account_id, p.external_id, p.class_id, c.home_device, p.status FROM pupil p"
        " JOIN school_class c ON c.school_id = p.school_id AND c.class_id = p.class_id"
        " WHERE p.school_id = ? ORDER BY p.account_id"
    )
    return bulk.select(conn, statement, (school_id,))


def _pupils(school_id: int) -> Select:
    pupil, person, group = db.pupil.c, db.person.c, db.school_class.c
    return (
        select(
            pupil.account_id, pupil.external_id, pupil.person_id, person.last_name, person.first_name,
            person.middle_name, pupil.class_id, group.name.label("class_name"), pupil.shift, pupil.status,
        )
        .join(db.person, (person.school_id == pupil.school_id) & (person.person_id == pupil.person_id))
        .join(db.school_class, (group.school_id == pupil.school_id) & (group.class_id == pupil.class_id))
        .where(pupil.school_id == school_id)
    )  # fmt: skip


def pupils(conn: Connection, school_id: int, account_ids: Iterable[int] | None = None) -> Sequence[Row]:
    wanted = _pupils(school_id).order_by(db.pupil.c.external_id)
    if account_ids is not None:
        wanted = wanted.where(db.pupil.c.account_id.in_(list(account_ids)))
    return conn.execute(wanted).all()


def children(conn: Connection, school_id: int, adult_id: int) -> Sequence[Row]:
    """Rows of pupils with the relation of this adult."""
    guardian, pupil = db.guardian.c, db.pupil.c
    wanted = (
        _pupils(school_id)
        .add_columns(guardian.relation)
        .join(
            db.guardian,
            (guardian.school_id == pupil.school_id) & (guardian.account_id == pupil.account_id),
        )
        .where(guardian.adult_id == adult_id)
        .order_by(db.person.c.first_name, pupil.account_id)
    )
    return conn.execute(wanted).all()


def _adults() -> Select:
    adult, person = db.adult.c, db.person.c
    wanted = select(
        adult.school_id, adult.adult_id, adult.person_id, person.last_name, person.first_name,
        person.middle_name, adult.phone, adult.language,
    )  # fmt: skip
    return wanted.join(
        db.person, (person.school_id == adult.school_id) & (person.person_id == adult.person_id)
    )


def adults(conn: Connection, school_id: int, adult_ids: Iterable[int] | None = None) -> Sequence[Row]:
    wanted = _adults().where(db.adult.c.school_id == school_id).order_by(db.adult.c.adult_id)
    if adult_ids is not None:
        wanted = wanted.where(db.adult.c.adult_id.in_(list(adult_ids)))
    return conn.execute(wanted).all()


def adults_by_phone(conn: Connection, school_id: int | None, phone: str) -> Sequence[Row]:
    wanted = _adults().where(db.adult.c.phone == phone).order_by(db.adult.c.school_id)
    if school_id is not None:
        wanted = wanted.where(db.adult.c.school_id == school_id)
    return conn.execute(wanted).all()


def adult_by_id(conn: Connection, adult_id: int) -> Row | None:
    return conn.execute(_adults().where(db.adult.c.adult_id == adult_id)).first()


def guardians(conn: Connection, school_id: int, account_ids: Iterable[int] | None = None) -> Sequence[Row]:
    """account_id, adult_id, relation."""
    guardian = db.guardian.c
    wanted = select(guardian.account_id, guardian.adult_id, guardian.relation).where(
        guardian.school_id == school_id
    )
    if account_ids is not None:
        wanted = wanted.where(guardian.account_id.in_(list(account_ids)))
    return conn.execute(wanted.order_by(guardian.account_id, guardian.adult_id)).all()


def add_persons(conn: Connection, rows: Sequence[Mapping]) -> None:
    if rows:
        conn.execute(insert(db.person), rows)


def add_pupils(conn: Connection, rows: Sequence[Mapping]) -> None:
    if rows:
        conn.execute(insert(db.pupil), rows)


def add_adults(conn: Connection, rows: Sequence[Mapping]) -> None:
    if rows:
        conn.execute(insert(db.adult), rows)


def add_guardians(conn: Connection, rows: Sequence[Mapping]) -> None:
    if rows:
        conn.execute(insert(db.guardian), rows)


def change_person(conn: Connection, school_id: int, person_id: int, names: Mapping) -> None:
    table = db.person
    conn.execute(
        update(table).where(table.c.school_id == school_id, table.c.person_id == person_id).values(**names)
    )


def change_pupil(conn: Connection, school_id: int, account_id: int, values: Mapping) -> None:
    table = db.pupil
    conn.execute(
        update(table).where(table.c.school_id == school_id, table.c.account_id == account_id).values(**values)
    )


def change_adult(conn: Connection, school_id: int, adult_id: int, values: Mapping) -> None:
    table = db.adult
    conn.execute(
        update(table).where(table.c.school_id == school_id, table.c.adult_id == adult_id).values(**values)
    )


def change_relations(conn: Connection, school_id: int, rows: Sequence[Mapping]) -> None:
    """`rows`: account, adult, relation."""
    table = db.guardian
    if rows:
        conn.execute(
            update(table)
            .where(
                table.c.school_id == school_id,
                table.c.account_id == bindparam("account"),
                table.c.adult_id == bindparam("adult"),
            )
            .values(relation=bindparam("relation")),
            rows,
        )


def log_read(conn: Connection, school_id: int, at: int, who: str, what: str, reason: str) -> None:
    conn.execute(
        insert(db.personal_read).values(school_id=school_id, at=at, who=who, what=what, reason=reason)
    )


def reads(conn: Connection, school_id: int, limit: int) -> Sequence[Row]:
    table = db.personal_read
    return conn.execute(
        select(table).where(table.c.school_id == school_id).order_by(table.c.id.desc()).limit(limit)
    ).all()
