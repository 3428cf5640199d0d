"""Many rows at once say the same as one by one, on both databases."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError

from cloud import bulk, db
from tests.cloud.schools import add_school

COUNTS = (0, 1, bulk.ROWS_AT_ONCE - 1, bulk.ROWS_AT_ONCE, bulk.ROWS_AT_ONCE + 1, 3 * bulk.ROWS_AT_ONCE + 7)


@pytest.mark.parametrize("count", COUNTS)
def test_every_row_is_inserted_once(store: Engine, count: int) -> None:
    school = add_school(store)
    rows = [(school, number, f"code {number}") for number in range(1, count + 1)]
    with db.begin(store) as conn:
        bulk.insert_rows(conn, db.ledger_account, rows)
        found = bulk.select(conn, "SELECT * FROM ledger_account WHERE school_id = ? ORDER BY 2", (school,))
    assert [tuple(row) for row in found] == rows


@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_merged_by_their_keys(store: Engine, count: int) -> None:
    school = add_school(store)
    change = "count = device_refusal.count + excluded.count, last_at = excluded.last_at"
    keys = ("school_id", "device_id", "code")
    with db.begin(store) as conn:
        for now in (1, 2):
            rows = [(school, 0, code, code, now) for code in range(1, count + now)]
            bulk.merge_rows(conn, db.device_refusal, rows, keys, change)
        statement = "SELECT code, count, last_at FROM device_refusal WHERE school_id = ? ORDER BY code"
        found = [tuple(row) for row in bulk.select(conn, statement, (school,))]
    assert found == [*((code, 2 * code, 2) for code in range(1, count + 1)), (count + 1, count + 1, 2)]


def test_one_bad_row_stops_all(store: Engine) -> None:
    school = add_school(store)
    rows = [(school, number, f"code {number}") for number in range(1, 120)]
    rows[77] = rows[3]
    with pytest.raises(IntegrityError), db.begin(store) as conn:
        bulk.insert_rows(conn, db.ledger_account, rows)
    with db.reading(store) as conn:
        assert bulk.select(conn, "SELECT * FROM ledger_account WHERE school_id = ?", (school,)) == []


def test_list_stands_for_many_values(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        bulk.insert_rows(conn, db.ledger_account, [(school, n, f"it's {n}") for n in range(1, 2001)])
        statement = "SELECT count(*) FROM ledger_account WHERE school_id = ? AND code IN ?"
        for wanted in ([], ["it's 5"], [f"it's {n}" for n in range(1000, 3000)]):
            expected = sum(1 <= int(text.split()[1]) <= 2000 for text in wanted)
            assert bulk.select(conn, statement, (school, wanted))[0][0] == expected


def test_failed_statement_tells_no_rows(store: Engine) -> None:
    """Exceptions are logged: they may name the statement, never what stands in the rows."""
    school = add_school(store)
    rows = [(school, number, "told to nobody") for number in (1, 1)]
    with pytest.raises(IntegrityError) as caught, db.begin(store) as conn:
        bulk.insert_rows(conn, db.ledger_account, rows)
    assert "told to nobody" not in str(caught.value)


def test_rows_have_their_columns_by_name(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        bulk.insert_rows(conn, db.ledger_account, [(school, 7, "seven")])
        statement = "SELECT code, ledger_account_id AS number, 5 FROM ledger_account WHERE school_id = ?"
        (row,) = bulk.select(conn, statement, (school,))
    assert (row.code, row.number) == ("seven", 7)
    assert tuple(row) == ("seven", 7, 5)


def test_watched_statements_do_the_same(store: Engine) -> None:
    """Who watches SQLAlchemy's statements sees all of them, and nothing else comes of them."""
    school = add_school(store)
    told: list[str] = []
    for watched in (False, True):
        if watched:
            event.listen(store, "before_cursor_execute", lambda _c, _k, statement, *_: told.append(statement))
        first = 10 * watched
        with db.begin(store) as conn:
            rows = [(school, first + number, f"code {first + number}") for number in (1, 2)]
            bulk.insert_rows(conn, db.ledger_account, rows)
            statement = "UPDATE device_refusal SET count = 1 WHERE school_id = ?"
            assert bulk.run(conn, statement, (school,)) == 0
            statement = (
                "SELECT * FROM ledger_account WHERE school_id = ? AND ledger_account_id > ? ORDER BY 2"
            )
            found = bulk.select(conn, statement, (school, first))
            assert [(row.ledger_account_id, row.code) for row in found] == [row[1:] for row in rows]
    assert [text.split()[0] for text in told if text.split()[0] != "BEGIN"] == ["INSERT", "UPDATE", "SELECT"]


@pytest.mark.postgres
def test_broken_connection_is_not_used_again(new_postgres: Callable[[], str]) -> None:
    engine = db.engine(str(new_postgres()))

    def broken() -> None:
        with db.begin(engine) as conn:
            (row,) = bulk.select(conn, "SELECT pg_backend_pid() AS pid")
            with db.reading(engine) as other:
                bulk.select(other, "SELECT pg_terminate_backend(?)", (row.pid,))
            bulk.select(conn, "SELECT 1")

    with pytest.raises(OperationalError):
        broken()
    with db.reading(engine) as conn:
        assert bulk.select(conn, "SELECT 1 AS one")[0].one == 1
    engine.dispose()
