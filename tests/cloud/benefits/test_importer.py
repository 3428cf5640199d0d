"""benefits.csv: every line that cannot be is named, the same file again changes nothing."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.benefits import service as benefits
from cloud.benefits import store as benefit_store
from cloud.csv_file import parse_table
from cloud.statements import service as statements
from tests.cloud.schools import add_pupils, add_school

HEAD = "external_id;meal;from;to;fund;category\n"


@pytest.fixture
def school(store: Engine) -> int:
    made = add_school(store)
    with db.begin(store) as conn:
        add_pupils(conn, made, 2, classes=1)
    return made


def pupils(store: Engine, school: int) -> list[str]:
    with db.reading(store) as conn:
        rows = conn.execute(db.pupil.select().where(db.pupil.c.school_id == school)).all()
    return sorted(row.external_id for row in rows)


def take(store: Engine, school: int, text: str):
    table = parse_table("benefits.csv", (HEAD + text).encode(), benefits.COLUMNS)
    with db.begin(store) as conn:
        return benefits.import_benefits(conn, school, table, 1_000)


def test_rows_are_taken_and_again_change_nothing(store: Engine, school: int) -> None:
    one, two = pupils(store, school)
    text = f"{one};Обед;2026-09-01;2026-12-31;city;large-family\n"
    text += f"{two};breakfast;01.09.2026;2026-09-30;city;all\n"
    assert take(store, school, text)[:2] == (2, 2)
    assert take(store, school, text) == (2, 0, [])
    shorter = text.replace("2026-12-31", "2026-10-31")
    assert take(store, school, shorter) == (2, 1, [])
    with db.reading(store) as conn:
        day = statements.day_of("2026-11-02")
        assert benefits.entitled(conn, school, [day]) == {}
        found = benefits.entitled(conn, school, [day - 60, day - 25])
        # A right that went out before the period was shortened is still the fund's.
        account = benefit_store.all_of(conn, school)[0].account_id
        lines = [benefits.fund_lines(conn, school, account, day, meal, 100) for meal in (1, 2)]
    assert sorted(len(pairs) for pairs in found.values()) == [1, 2]
    assert next(line[0][0] for line in lines if line).startswith("fund:city:2026:")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nobody;lunch;2026-09-01;2026-09-30;city;all", "unknown pupil"),
        ("{one};bun;2026-09-01;2026-09-30;city;all", "meal is no hot meal"),
        ("{one};lunch;September;2026-09-30;city;all", "from is no day such as 2026-09-01"),
        ("{one};lunch;2026-09-30;2026-09-01;city;all", "from is after to"),
        (
            "{one};lunch;2026-09-01;2026-09-30;ci:ty;all",
            "fund is no code of Latin letters, digits and dashes",
        ),
        ("{one};lunch;2026-09-01;2026-09-30;city;", "category is empty"),
        ("{two};lunch;2026-09-10;2026-09-30;city;all", "overlaps another period of this pupil and meal"),
        (
            "{two};lunch;2026-09-01;2026-09-02;city;all",
            "this pupil, meal and first day stand on an earlier line",
        ),
    ],
)
def test_bad_line_is_named(store: Engine, school: int, row: str, reason: str) -> None:
    one, two = pupils(store, school)
    good = f"{two};lunch;2026-09-01;2026-09-15;city;all\n"
    done = take(store, school, good + row.format(one=one, two=two) + "\n")
    assert (done.rows, done.changed) == (1, 1)
    assert [(problem.line, problem.reason) for problem in done.problems] == [(3, reason)]
