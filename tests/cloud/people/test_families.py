"""parents.csv: one phone is one adult, and a phone never opens a stranger's child."""

import os

import pytest

from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.people import families, service, students
from tests.cloud.schools import add_school

STUDENTS = (
    "student_id;last_name;first_name;middle_name;class;shift;status\n"
    "S1;Иванов;Пётр;;2Б;1;active\nS2;Иванова;Анна;;5А;1;active\nS3;Ким;Ева;;5А;1;active\n"
)
HEADER = "student_id;relation;name;phone\n"
IVANOVA = "мать;Иванова Нина Олеговна;8 900 111-22-33"


@pytest.fixture
def school_id(store):
    number = add_school(store)
    table = parse_table("students.csv", STUDENTS.encode(), students.STUDENT_COLUMNS)
    with begin(store) as conn:
        students.import_students(conn, number, table, None, os.urandom)
    return number


def load(store, school_id, *rows):
    table = parse_table("parents.csv", (HEADER + "\n".join(rows)).encode(), families.COLUMNS)
    with begin(store) as conn:
        applied = families.import_parents(conn, school_id, table, os.urandom)
    return applied.rows, applied.changed, [(problem.line, problem.reason) for problem in applied.problems]


def family(store, school_id):
    """Each pupil's adults as (last name, phone, relation)."""
    told = {}
    with reading(store) as conn:
        for pupil in service.pupils(conn, school_id):
            told[pupil.external_id] = [
                (adult.last_name, adult.phone, child.relation)
                for adult in service.adults_of(conn, school_id, pupil.account_id)
                for child in service.children_of(conn, school_id, adult.adult_id)
                if child.account_id == pupil.account_id
            ]
    return told


def test_two_pupils_share_one_adult(store, school_id):
    assert load(store, school_id, "S1;" + IVANOVA, "S2;" + IVANOVA) == (2, 2, [])
    with reading(store) as conn:
        adult = service.adult_by_phone(conn, school_id, "+79001112233")
        assert adult is not None
        assert adult[2:] == ("Иванова", "Нина", "Олеговна", "+79001112233", "ru")
        assert [child.short_name for child in service.children_of(conn, school_id, adult.adult_id)] == [
            "Анна",
            "Пётр",
        ]
        assert service.adult_by_phone(conn, None, "+79001112233") == adult
        assert service.adults_by_phone(conn, "+79001112233") == [adult]
        assert service.adult(conn, adult.adult_id) == adult
        assert service.adult_by_phone(conn, None, "+79001112234") is None
        assert service.adult(conn, adult.adult_id + 1) is None


def test_same_file_again_changes_nothing(store, school_id):
    rows = ["S1;" + IVANOVA, "S2;" + IVANOVA, "S3;отец;Ким Ян;+7 900 5550011"]
    assert load(store, school_id, *rows) == (3, 3, [])
    assert load(store, school_id, *rows) == (3, 0, [])


def test_phone_with_another_name_is_refused(store, school_id):
    assert load(store, school_id, "S1;" + IVANOVA, "S3;отец;Ким Ян;89001112233") == (
        1,
        1,
        [(3, "phone is already another adult's, on line 2")],
    )
    # Also when the owner stands in the database only: a number that changed hands.
    assert load(store, school_id, "S3;отец;Ким Ян;89001112233") == (
        0,
        0,
        [(2, "phone is already another adult's")],
    )
    assert family(store, school_id)["S3"] == []


def test_own_line_corrects_a_name(store, school_id):
    load(store, school_id, "S1;" + IVANOVA, "S2;" + IVANOVA)
    renamed = "мать;Петрова Нина Олеговна;89001112233"
    assert load(store, school_id, "S1;" + renamed, "S2;" + renamed) == (2, 1, [])
    assert family(store, school_id)["S2"] == [("Петрова", "+79001112233", "мать")]


def test_known_adult_moves_to_a_new_phone(store, school_id):
    load(store, school_id, "S1;" + IVANOVA, "S2;" + IVANOVA)
    with reading(store) as conn:
        before = service.adult_by_phone(conn, school_id, "+79001112233")
    moved = "мать;Иванова Нина Олеговна;+7 911 0000001"
    # The old number is somebody else's from now on, on an earlier line even.
    rows = ["S3;отец;Ким Ян;8 900 111 22 33", "S1;" + moved, "S2;" + moved]
    assert load(store, school_id, *rows) == (3, 2, [])
    with reading(store) as conn:
        after = service.adult_by_phone(conn, school_id, "+79110000001")
    assert before is not None
    assert after is not None
    assert before.adult_id == after.adult_id
    assert family(store, school_id) == {
        "S1": [("Иванова", "+79110000001", "мать")],
        "S2": [("Иванова", "+79110000001", "мать")],
        "S3": [("Ким", "+79001112233", "отец")],
    }


def test_adult_with_two_phones_stays_two(store, school_id):
    rows = ["S1;" + IVANOVA, "S1;мать;Иванова Нина Олеговна;+7 911 0000001"]
    assert load(store, school_id, *rows) == (2, 2, [])
    assert load(store, school_id, *rows) == (2, 0, [])
    assert len(family(store, school_id)["S1"]) == 2


def test_changed_relation_updates(store, school_id):
    load(store, school_id, "S1;" + IVANOVA)
    assert load(store, school_id, "S1;опекун;Иванова Нина Олеговна;89001112233") == (1, 1, [])
    assert family(store, school_id)["S1"] == [("Иванова", "+79001112233", "опекун")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("S9;" + IVANOVA, "unknown pupil"),
        (
            "S1;мать;Иванова Нина;12345",
            "phone is no phone: neither +country nor a Russian number of 11 digits",
        ),
        ("S1;мать;Иванова Нина;", "phone is no phone: empty"),
        ("S1;мать;;89001112233", "name is empty"),
        ("S1;мать;---;89001112233", "name has no letter"),
        (";" + IVANOVA, "student_id is empty"),
        ("S3;отец;Ким Ян;+79005550011", "this adult of this pupil is given twice, first on line 2"),
    ],
)
def test_bad_row_is_told_and_skipped(store, school_id, row, reason):
    good = "S3;отец;Ким Ян;89005550011"
    assert load(store, school_id, good, row) == (1, 1, [(3, reason)])
    assert family(store, school_id) == {"S1": [], "S2": [], "S3": [("Ким", "+79005550011", "отец")]}
