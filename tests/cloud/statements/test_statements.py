"""Statements: kept as they were said, once, whole or not at all."""

import pytest
from sqlalchemy import Engine, text

from cloud import db
from cloud.accounting import service as accounting
from cloud.csv_file import parse_table
from cloud.statements import service as statements
from tests.cloud.schools import add_pupils, add_school

DAY = 20_000


def bank(engine: Engine, school: int, raw: str) -> tuple[int, int, list[tuple[int, str]]]:
    with db.begin(engine) as conn:
        table = parse_table("bank.csv", raw.encode(), statements.BANK_COLUMNS)
        found = statements.import_bank(conn, school, table, DAY, 5)
    return found.rows, found.changed, [(each.line, each.reason) for each in found.problems]


def test_lines_are_kept_once(store: Engine) -> None:
    school = add_school(store)
    raw = "bank_ref;amount_rub;date\nA1;500.00;01.09.2026\nA2;20,50;\n"
    assert bank(store, school, raw) == (2, 2, [])
    assert bank(store, school, raw) == (2, 0, [])
    with db.reading(store) as conn:
        (line,) = statements.of_day(conn, school, statements.BANK, DAY)
        assert line == statements.Line("A2", DAY, 2050, None, 3)
        assert statements.by_key(conn, school, statements.BANK, ["A1"])["A1"].day == statements.day_of(
            "2026-09-01"
        )


def test_other_amount_names_the_line(store: Engine) -> None:
    school = add_school(store)
    raw = "bank_ref;amount_rub\nA1;500.00\nA1;501.00\n"
    assert bank(store, school, raw) == (1, 1, [(3, "bank_ref was given before with another amount")])
    raw = "bank_ref;amount_rub\nA1;502.00\n"
    assert bank(store, school, raw) == (0, 0, [(2, "bank_ref was given before with another amount")])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A1;x;", "amount_rub is no amount such as 500.00"),
        ("A1;0.00;", "amount_rub is 0"),
        (";5.00;", "bank_ref is empty"),
        ("A1;5.00;31.02.2026", "date is no day such as 2026-09-01"),
        ("A1;5.00;soon", "date is no day such as 2026-09-01"),
    ],
)
def test_bad_line_has_its_reason(store_sqlite: Engine, line: str, reason: str) -> None:
    school = add_school(store_sqlite)
    assert bank(store_sqlite, school, f"bank_ref;amount_rub;date\n{line}\n")[2] == [(2, reason)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-09-01;-1;5.00", "portions is no number such as 214"),
        ("2026-09-01;99999999;5.00", "portions is no number such as 214"),
        ("2026-09-01;²;5.00", "portions is no number such as 214"),
        ("2026-09-01;1;-5.00", "amount_rub is less than 0"),
        ("20260;1;5.00", "date is no day such as 2026-09-01"),
    ],
)
def test_bad_line_of_the_caterer(store_sqlite: Engine, line: str, reason: str) -> None:
    school = add_school(store_sqlite)
    raw = f"date;portions;amount_rub\n{line}\n".encode()
    with db.begin(store_sqlite) as conn:
        table = parse_table("c.csv", raw, statements.CATERER_COLUMNS)
        found = statements.import_caterer(conn, school, table, 5)
    assert [each.reason for each in found.problems] == [reason]


def test_import_of_topups_keeps_the_banks_word(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        add_pupils(conn, school, 1)
        (external,) = conn.execute(text("SELECT external_id FROM pupil")).one()
        raw = f"student_id;amount_rub;bank_ref\n{external};500.00;R1\nnobody;5.00;R2\n".encode()
        table = parse_table("topups.csv", raw, accounting.TOPUP_COLUMNS)
        found = accounting.import_topups(conn, school, table, DAY * 86400 + 100)
        assert [each.line for each in found.problems] == [3]
        raw = f"student_id;amount_rub;bank_ref\n{external};600.00;R1\n".encode()
        table = parse_table("topups.csv", raw, accounting.TOPUP_COLUMNS)
        found = accounting.import_topups(conn, school, table, DAY * 86400 + 100)
        assert (found.rows, len(found.problems)) == (0, 1)
        (line,) = statements.of_day(conn, school, statements.BANK, DAY)
    assert line == statements.Line("R1", DAY, 50_000, None, 2)
