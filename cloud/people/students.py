"""Pupils of students.csv into the tables of people.

Promises: a row is applied as a whole or not at all, and the rows around a bad
one are applied; the same file again changes nothing; a changed row updates.
A pupil who is missing from a file is never deleted: a lost line must not lose a
child.  Leaves reading of files to cloud/csv_file.py.

A class is known when it stands in the school's list of classes (classes.csv), or,
for a school that gave no list, when it has the shape of a class at all.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.csv_file import Applied, Problem, Refused, Table, text_of
from cloud.people import service, store
from cloud.people.class_names import NoClass, by_year, normal_class

CLASS_COLUMNS = ("class",)
STUDENT_COLUMNS = ("student_id", "last_name", "first_name", "middle_name", "class", "shift", "status")

_SHIFTS = ("1", "2", "3")
_STATUSES = ("active", "left")


class Student(NamedTuple):
    """One good row of students.csv."""

    external_id: str
    names: dict[str, str]
    class_name: str
    shift: int
    status: str


def declared_classes(table: Table) -> tuple[set[str], list[Problem]]:
    """The classes of classes.csv and the lines that name none."""
    names: set[str] = set()
    problems = list(table.problems)
    for row in table.rows:
        try:
            names.add(normal_class(row.fields["class"]))
        except NoClass as error:
            problems.append(table.problem(row.line, f"unknown class: {error}"))
    return names, problems


def import_students(
    conn: Connection,
    school_id: int,
    table: Table,
    declared: set[str] | None,
    random_bytes: service.RandomBytes,
) -> Applied:
    """Pupils of students.csv.  `declared`: the only classes there are, or None for any of the right shape."""
    problems = list(table.problems)
    students: dict[str, Student] = {}
    lines: dict[str, int] = {}
    for row in table.rows:
        try:
            student = _student(row.fields, declared)
            if student.external_id in lines:
                raise Refused(f"student id is given twice, first on line {lines[student.external_id]}")
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        lines[student.external_id] = row.line
        students[student.external_id] = student
    changed = _apply_students(conn, school_id, list(students.values()), random_bytes)
    return Applied(len(students), changed, problems)


def _student(fields: dict[str, str], declared: set[str] | None) -> Student:
    external_id = text_of(fields, "student_id")
    names = {name: text_of(fields, name) for name in ("last_name", "first_name")}
    names["middle_name"] = text_of(fields, "middle_name", empty=True)
    try:
        class_name = normal_class(fields["class"])
    except NoClass as error:
        raise Refused(f"unknown class: {error}") from error
    if declared is not None and class_name not in declared:
        raise Refused("unknown class: not in classes.csv")
    if fields["shift"] not in _SHIFTS:
        raise Refused("shift is none of 1, 2, 3")
    if fields["status"] not in _STATUSES:
        raise Refused("status is neither active nor left")
    return Student(external_id, names, class_name, int(fields["shift"]), fields["status"])


def _apply_students(
    conn: Connection, school_id: int, students: list[Student], random_bytes: service.RandomBytes
) -> int:
    """Insert the new pupils, update the changed ones; how many of both."""
    classes = _class_numbers(conn, school_id, [student.class_name for student in students])
    known = {row.external_id: row for row in store.pupils(conn, school_id)}
    fresh = [student for student in students if student.external_id not in known]
    accounts = service.new_ids((row.account_id for row in known.values()), len(fresh), random_bytes)
    persons, pupils = [], []
    for student, account_id in zip(fresh, accounts, strict=True):
        person_id = service.person_number(random_bytes)
        persons.append({"school_id": school_id, "person_id": person_id, **student.names})
        pupils.append(
            {"school_id": school_id, "account_id": account_id, "person_id": person_id,
             "external_id": student.external_id, **_place(student, classes)}
        )  # fmt: skip
    store.add_persons(conn, persons)
    store.add_pupils(conn, pupils)
    changed = len(fresh)
    for student in students:
        row = known.get(student.external_id)
        if row is not None:
            changed += _update(conn, school_id, row, student.names, _place(student, classes))
    return changed


def _place(student: Student, classes: dict[str, int]) -> dict[str, Any]:
    return {"class_id": classes[student.class_name], "shift": student.shift, "status": student.status}


def _update(conn: Connection, school_id: int, row: Any, names: dict[str, str], place: dict[str, Any]) -> bool:
    """Whether anything of this pupil was changed."""
    other_names = any(getattr(row, name) != value for name, value in names.items())
    other_place = any(getattr(row, name) != value for name, value in place.items())
    if other_names:
        store.change_person(conn, school_id, row.person_id, names)
    if other_place:
        store.change_pupil(conn, school_id, row.account_id, place)
    return other_names or other_place


def _class_numbers(conn: Connection, school_id: int, names: list[str]) -> dict[str, int]:
    """The number of each class; new ones are added after the known."""
    numbers = {row.name: row.class_id for row in store.classes(conn, school_id)}
    after = max(numbers.values(), default=0)
    fresh = sorted(set(names) - set(numbers), key=by_year)
    rows = [
        {"school_id": school_id, "class_id": class_id, "name": name}
        for class_id, name in enumerate(fresh, start=after + 1)
    ]
    store.add_classes(conn, rows)
    return numbers | {row["name"]: row["class_id"] for row in rows}
