"""History, explanation and top-ups."""

import sqlite3

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.accounting import service, store
from cloud.accounting.service import BANK, CATERER, Entry, purse
from cloud.csv_file import parse_table
from protocols.errors import AMOUNT_RANGE, KEY_REUSED, OK
from tests.cloud.schools import add_device, add_pupils, add_record, add_school


def sell(number: int, account: int = 1, amount: int = 7) -> Entry:
    return Entry(f"sale {number}", "sale", number, ((purse(account), -amount), (CATERER, amount)))


def test_history_pages_meet(store_sqlite: Engine) -> None:
    school = add_school(store_sqlite)
    with db.begin(store_sqlite) as conn:
        service.post(conn, school, [sell(number, 1 + number % 2) for number in range(1, 41)], 50)
        first = service.history(conn, school, purse(1), 8)
        second = service.history(conn, school, purse(1), 30, before=first[-1].entry_id)
    assert [line.entry_id for line in first + second] == list(range(40, 0, -2))
    assert {line.amount_minor for line in first} == {-7}
    assert first[0].happened_at == 40
    assert first[0].posted_at == 50


def test_unknown_account_has_no_history(store_sqlite: Engine) -> None:
    school = add_school(store_sqlite)
    with db.reading(store_sqlite) as conn:
        assert service.history(conn, school, purse(1)) == []


def steps_of(engine: Engine, work) -> int:
    """How many steps SQLite's machine makes: a measure that no loaded machine changes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with db.begin(engine) as conn:
        driver: sqlite3.Connection = conn.connection.driver_connection  # type: ignore[assignment]
        driver.set_progress_handler(count, 1)
        work(conn)
        driver.set_progress_handler(None, 1)
    return steps


def test_cost_does_not_grow_with_history(store_sqlite: Engine) -> None:
    school = add_school(store_sqlite)
    costs = {}
    sold = 0
    for total in (200, 3200):
        with db.begin(store_sqlite) as conn:
            service.post(conn, school, [sell(number) for number in range(sold + 1, total + 1)], 9)
        sold = total
        newest = sold

        def read(conn, newest: int = newest) -> None:
            assert len(service.history(conn, school, purse(1), 20)) == 20
            assert len(service.history(conn, school, purse(1), 20, before=newest - 50)) == 20

        def write(conn, sold: int = sold) -> None:
            service.post(conn, school, [sell(sold + number) for number in range(1, 21)], 9)

        costs[total] = steps_of(store_sqlite, read), steps_of(store_sqlite, write)
        sold += 20
    for small, large in zip(costs[200], costs[3200], strict=True):
        assert large < small * 1.2, costs


def test_history_walks_the_index(store: Engine) -> None:
    if store.dialect.name == "sqlite":
        plan = f"EXPLAIN QUERY PLAN {store_history()}"
    else:
        plan = f"EXPLAIN {store_history()}"
    with db.begin(store) as conn:
        if store.dialect.name == "postgresql":
            bulk.run(conn, "SET LOCAL enable_seqscan = off")
            bulk.run(conn, "SET LOCAL enable_hashagg = off")
            bulk.run(conn, "SET LOCAL enable_bitmapscan = off")
        told = "\n".join(str(row) for row in bulk.select(conn, plan, (1, 1, 100, 20, 1)))
    assert "posting_of_account" in told
    assert "USE TEMP B-TREE FOR GROUP BY" not in told


def store_history() -> str:
    return store.HISTORY


def test_entry_is_explained_down_to_bytes(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        device, epoch = add_device(conn, school, "line-1", "canteen")
        raw = add_record(conn, school, device, epoch, seq=5, account=1, amount=8500, aux=3)
        entry = Entry("r", "sale", 11, ((purse(1), -8500), (CATERER, 8500)), device, epoch, 5)
        (result,) = service.post(conn, school, [entry], 12)
        told = service.explain(conn, school, result.entry_id)
        (line,) = service.history(conn, school, purse(1))
        assert service.entries_of_record(conn, school, device, epoch, 5) == [result.entry_id]
    assert told["postings"] == [
        {"code": purse(1), "amount_minor": -8500},
        {"code": CATERER, "amount_minor": 8500},
    ]
    assert told["record"]["raw_hex"] == raw.hex()
    assert told["record"]["device_label"] == "line-1"
    assert told["record"]["lines"] == ((3, 1, 8500),)
    assert (line.device_label, line.lines, line.amount_minor) == ("line-1", ((3, 1, 8500),), -8500)


def test_unknown_entry_is_not_explained(store_sqlite: Engine) -> None:
    school = add_school(store_sqlite)
    with db.reading(store_sqlite) as conn, pytest.raises(service.NoSuchEntry):
        service.explain(conn, school, 1)


def test_sales_of_a_day_go_to_caterers(store: Engine) -> None:
    school = add_school(store)
    suspended = Entry("s", "sale", 15, ((purse(1), -9), (service.SUSPENSE_RULE, 9)))
    with db.begin(store) as conn:
        service.post(conn, school, [sell(9), sell(10), sell(19), sell(20), suspended], 50)
        assert service.sales(conn, school, 10, 20) == (2, 14)
        assert service.sales(conn, school, 30, 40) == (0, 0)


def test_top_up_counts_once(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        account = add_pupils(conn, school, 1)[0]
        first = service.top_up(conn, school, account, 500, "T1", 10)
        assert service.top_up(conn, school, account, 500, "T1", 99) == first
        assert service.top_up(conn, school, account, 501, "T1", 99).refusal == KEY_REUSED
        for amount in (0, -5, 2**31):
            assert service.top_up(conn, school, account, amount, "T2", 99) == (0, AMOUNT_RANGE)
        assert service.balances(conn, school, [purse(account), BANK]) == {purse(account): 500, BANK: -500}
    assert first.refusal == OK


TOPUPS = """student_id;amount_rub;bank_ref
{first};500.00;T1
{second};0.50;T2
{first};500.00;T1
{first};500.01;T1
{first};5,505;T3
{first};-5.00;T4
{first};0;T5
{first};;T6
nobody;5.00;T7
{first};5.00;
{first};5.00
{second};1e2;T8
{second};99999999.99;T9
"""


def test_bad_top_ups_are_named_by_line(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        one, two = add_pupils(conn, school, 2)
        text = TOPUPS.format(first=f"S{one}", second=f"S{two}")
        table = parse_table("topups.csv", text.encode(), service.TOPUP_COLUMNS)
        applied = service.import_topups(conn, school, table, 10)
        again = service.import_topups(conn, school, table, 11)
        sums = service.balances(conn, school, [purse(one), purse(two)])
    assert sums == {purse(one): 50_000, purse(two): 50}
    assert (applied.rows, applied.changed) == (3, 2)
    assert (again.rows, again.changed) == (3, 0)
    assert applied.problems == again.problems
    assert [(problem.line, problem.reason) for problem in applied.problems] == [
        (5, "bank_ref was used before with another amount or pupil"),
        (6, "amount_rub is no amount such as 500.00"),
        (7, "amount_rub is not more than 0"),
        (8, "amount_rub is not more than 0"),
        (9, "amount_rub is no amount such as 500.00"),
        (10, "unknown pupil"),
        (11, "bank_ref is empty"),
        (12, "malformed line: 2 fields, the header has 3"),
        (13, "amount_rub is no amount such as 500.00"),
        (14, "amount_rub is no amount such as 500.00"),
    ]
