"""A whole folder of a school: order, problems, strict, and the same again."""

import shutil
from pathlib import Path

import pytest

from cloud import db
from cloud.accounting import service as accounting
from cloud.cards import service as cards
from cloud.csv_file import Problem
from cloud.db import begin, reading
from cloud.keys import Vault
from cloud.meals import service as meals
from cloud.people import service as people
from cloud.people.importer import import_school

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "school-1"
NOW = 1_800_000_000
# file, a line to add, and its reason
BAD = [
    ("students.csv", "D900;Ошибкин;Ян;;13Ы;1;active", "unknown class: not a year from 1 to 11 with a letter"),
    ("students.csv", "D001;Ошибкин;Ян;;2Б;1;active", "student id is given twice, first on line 2"),
    ("students.csv", "D901;Ошибкин", "malformed line: 2 fields, the header has 7"),
    ("parents.csv", "D001;мать;Ошибкина Ия;не знаю", "phone is no phone: something other than digits"),
    ("parents.csv", "D900;мать;Ошибкина Ия;+7 555 010-00-99", "unknown pupil"),
    ("cards.csv", "D900;a:0F569FAB", "unknown pupil"),
    ("menu.csv", "supper;12:00;12:30;1.00", "overlaps the time of an earlier line"),
    ("menu.csv", "supper;12:00;12:30;1.001", "price_rub is no amount such as 85.00"),
    ("topups.csv", "D001;-5.00;B9-1", "amount_rub is not more than 0"),
    ("topups.csv", "D900;5.00;B9-2", "unknown pupil"),
    ("topups.csv", "D001;5.00;B1-1", "bank_ref was used before with another amount or pupil"),
]


class Office:
    """A school and the folder its files are in."""

    def __init__(self, store, tmp_path):
        self.store, self.vault, self.folder = store, Vault(tmp_path / "keys"), tmp_path / "files"
        shutil.copytree(EXAMPLE, self.folder)
        with begin(store) as conn:
            self.school_id = people.create_school(conn, "Школа 1", "Europe/Moscow")

    def load(self, *, strict=False):
        with begin(self.store) as conn:
            return import_school(conn, self.vault, self.folder, self.school_id, strict, NOW)

    def add(self, file, line):
        path = self.folder / file
        path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
        return len(path.read_text(encoding="utf-8").splitlines())

    def dump(self):
        """All rows of the school's tables."""
        tables = [table for table in db.metadata.sorted_tables if "school_id" in table.c]
        with reading(self.store) as conn:
            return {table.name: sorted(map(repr, conn.execute(table.select()))) for table in tables}


@pytest.fixture
def office(store, tmp_path):
    return Office(store, tmp_path)


def test_example_school_is_imported_whole(office):
    report = office.load()
    assert report.problems == []
    assert report.rows == {
        "students.csv": 24, "parents.csv": 29, "cards.csv": 24, "menu.csv": 6, "topups.csv": 21,
    }  # fmt: skip
    assert report.rows_applied == report.rows_changed == 104
    with reading(office.store) as conn:
        pupils = {pupil.external_id: pupil for pupil in people.pupils(conn, office.school_id)}
        purse = accounting.purse(pupils["D001"].account_id)
        assert accounting.balances(conn, office.school_id, [purse]) == {purse: 30_000}
        assert accounting.books_sum(conn, office.school_id) == 0
        family = people.adult_by_phone(conn, office.school_id, people.normal_phone("+7 555 010-00-01"))
        assert family is not None
        children = people.children_of(conn, office.school_id, family.adult_id)
        assert [(child.short_name, child.class_name) for child in children] == [
            ("Ваня", "5А"),
            ("Маша", "2Б"),
        ]
        told = cards.table_cards(conn, office.school_id).exact
        closed = {card.account_id for card in told if not card.active}
        assert closed == {pupils["D024"].account_id}


def test_example_menu_sells_at_every_minute(office):
    office.load()
    with reading(office.store) as conn:
        goods = meals.menu(conn, office.school_id)
    minutes = [minute for good in goods for minute in range(good.from_minute, good.to_minute + 1)]
    assert minutes == list(range(1440))


def test_same_folder_again_changes_nothing(office):
    office.load()
    before = office.dump()
    report = office.load()
    assert (report.rows_applied, report.rows_changed) == (104, 0)
    assert office.dump() == before


def test_bad_rows_are_told_and_the_rest_applied(office):
    expected = [Problem(file, office.add(file, line), reason) for file, line, reason in BAD]
    office.add("students.csv", "D902;Хороший;Ян;;2Б;1;active")
    report = office.load()
    assert report.problems == expected
    assert report.is_applied
    assert report.rows_applied == 105
    with reading(office.store) as conn:
        pupils = people.pupils(conn, office.school_id)
        assert len(pupils) == 25
        assert not [pupil for pupil in pupils if pupil.last_name == "Ошибкин"]
    told = str(report.as_json())
    for value in ("Ошибкин", "D900", "не знаю", "010-00-99", "0F569FAB"):
        assert value not in told


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad[2].replace(" ", "-")[:30])
def test_strict_import_applies_nothing(store_sqlite, tmp_path, bad):
    office = Office(store_sqlite, tmp_path)
    before = office.dump()
    office.add(bad[0], bad[1])
    report = office.load(strict=True)
    assert [problem.reason for problem in report.problems] == [bad[2]]
    assert (report.is_applied, report.rows_applied, report.rows_changed) == (False, 0, 0)
    assert office.dump() == before


def test_strict_import_of_good_files_applies_all(office):
    report = office.load(strict=True)
    assert report.is_applied
    assert report.rows_applied == 104


def test_strict_import_undoes_on_each_database(office):
    office.load()
    before = office.dump()
    office.add("topups.csv", "D001;50.00;B2-1")
    office.add("topups.csv", "D001;0;B2-2")
    assert not office.load(strict=True).is_applied
    assert office.dump() == before
    assert office.load().rows_changed == 1


def test_other_encodings_give_the_same_school(office):
    for file in ("students.csv", "parents.csv"):
        path = office.folder / file
        text = path.read_text(encoding="utf-8").replace(";", ",")
        path.write_bytes(text.replace("\n", "\r\n").encode("cp1251"))
    path = office.folder / "menu.csv"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    report = office.load()
    assert report.problems == []
    with reading(office.store) as conn:
        assert people.pupils(conn, office.school_id)[6].last_name == "Журавлёв"


def test_missing_files_are_problems(office):
    for file in ("parents.csv", "menu.csv", "topups.csv"):
        (office.folder / file).unlink()
    report = office.load()
    assert report.problems == [
        Problem("parents.csv", 0, "the file is missing"),
        Problem("menu.csv", 0, "the file is missing"),
    ]
    assert report.rows == {"students.csv": 24, "parents.csv": 0, "cards.csv": 24, "menu.csv": 0}


def test_declared_classes_refuse_others(office):
    (office.folder / "classes.csv").write_text("class\n2Б\n5А\n?\n", encoding="utf-8")
    report = office.load()
    of_pupils = [problem for problem in report.problems if problem.file == "students.csv"]
    assert len(of_pupils) == 8
    assert {problem.reason for problem in of_pupils} == {"unknown class: not in classes.csv"}
    assert report.problems[0].file == "classes.csv"
    assert report.problems[0].line == 4
