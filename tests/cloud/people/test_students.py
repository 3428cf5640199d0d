"""students.csv into the tables of people."""

import os

import pytest

from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.people import service, students
from tests.cloud.schools import add_school

HEADER = "student_id;last_name;first_name;middle_name;class;shift;status\n"
GOOD = HEADER + "S1;Иванов;Пётр;Ильич;2Б;1;active\nS2;Ким;Ева;;11А;2;left\n"


def load(store, school_id, text, declared=None):
    table = parse_table("students.csv", text.encode(), students.STUDENT_COLUMNS)
    with begin(store) as conn:
        return students.import_students(conn, school_id, table, declared, os.urandom)


def pupils(store, school_id):
    with reading(store) as conn:
        return service.pupils(conn, school_id)


def test_good_rows_become_pupils(store):
    school_id = add_school(store)
    assert load(store, school_id, GOOD)[:2] == (2, 2)
    first, second = pupils(store, school_id)
    assert first[1:] == ("S1", "Иванов", "Пётр", "Ильич", 1, "2Б", 1, "active")
    assert second[1:] == ("S2", "Ким", "Ева", "", 2, "11А", 2, "left")
    assert 0 < first.account_id < 2**32
    assert first.account_id != second.account_id
    assert first.short_name == "Пётр"
    with reading(store) as conn:
        assert {account.external_id: account.active for account in service.accounts(conn, school_id)} == {
            "S1": True,
            "S2": False,
        }


def test_same_file_again_changes_nothing(store):
    school_id = add_school(store)
    load(store, school_id, GOOD)
    before = pupils(store, school_id)
    assert load(store, school_id, GOOD) == (2, 0, [])
    assert pupils(store, school_id) == before


def test_changed_rows_update_and_keep_accounts(store):
    school_id = add_school(store)
    load(store, school_id, GOOD)
    before = pupils(store, school_id)
    changed = HEADER + "S1;Иванова;Пётр;Ильич;3Б;1;active\nS2;Ким;Ева;;11А;2;active\n"
    assert load(store, school_id, changed) == (2, 2, [])
    after = pupils(store, school_id)
    assert [pupil.account_id for pupil in after] == [pupil.account_id for pupil in before]
    assert [(pupil.last_name, pupil.class_name, pupil.status) for pupil in after] == [
        ("Иванова", "3Б", "active"),
        ("Ким", "11А", "active"),
    ]


def test_lost_line_loses_no_child(store):
    school_id = add_school(store)
    load(store, school_id, GOOD)
    load(store, school_id, HEADER + "S2;Ким;Ева;;11А;2;left\n")
    assert [pupil.external_id for pupil in pupils(store, school_id)] == ["S1", "S2"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (";Иванов;Пётр;;2Б;1;active", "student_id is empty"),
        ("S9;;Пётр;;2Б;1;active", "last_name is empty"),
        ("S9;Иванов;;;2Б;1;active", "first_name is empty"),
        ("S9;Иванов;Пётр;;12Б;1;active", "unknown class: not a year from 1 to 11 with a letter"),
        ("S9;Иванов;Пётр;;2Б;4;active", "shift is none of 1, 2, 3"),
        ("S9;Иванов;Пётр;;2Б;1;gone", "status is neither active nor left"),
        ("S1;Иванов;Пётр;;2Б;1;active", "student id is given twice, first on line 2"),
        ("S9;Иванов", "malformed line: 2 fields, the header has 7"),
        ("S9;" + "Я" * 101 + ";Пётр;;2Б;1;active", "last_name is longer than 100 letters"),
    ],
)
def test_bad_row_is_told_and_skipped(store_sqlite, row, reason):
    school_id = add_school(store_sqlite)
    head, *good = GOOD.splitlines()
    applied = load(store_sqlite, school_id, "\n".join([head, good[0], row, good[1]]))
    assert [(problem.line, problem.reason) for problem in applied.problems] == [(3, reason)]
    assert [pupil.external_id for pupil in pupils(store_sqlite, school_id)] == ["S1", "S2"]
    assert pupils(store_sqlite, school_id)[0].middle_name == "Ильич"


def test_declared_classes_are_the_only_ones(store_sqlite):
    school_id = add_school(store_sqlite)
    table = parse_table("classes.csv", "class\n2б\n11A\nхор\n".encode(), students.CLASS_COLUMNS)
    names, problems = students.declared_classes(table)
    assert names == {"2Б", "11А"}
    assert [problem.line for problem in problems] == [4]
    row = "S3;Ли;Ян;;5Щ;1;active\n"
    applied = load(store_sqlite, school_id, GOOD + row, names)
    assert [(problem.line, problem.reason) for problem in applied.problems] == [
        (4, "unknown class: not in classes.csv")
    ]
    assert load(store_sqlite, school_id, GOOD + row, None).problems == []


def test_accounts_of_two_schools_are_apart(store):
    schools = [add_school(store), add_school(store)]
    for school_id in schools:
        load(store, school_id, GOOD)
    accounts = [{pupil.account_id for pupil in pupils(store, school_id)} for school_id in schools]
    assert not accounts[0] & accounts[1]
