"""The migrations lead to what cloud/db.py says, on both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from cloud import bulk, db, migrations
from cloud.accounting import chain
from cloud.accounting import service as accounting
from protocols.ledger import record


def shape(engine: Engine) -> dict[str, Any]:
    """What a database says of its own tables: columns, keys, checks, triggers."""
    inspector = inspect(engine)
    found: dict[str, Any] = {}
    for table in sorted(inspector.get_table_names()):
        if table == "alembic_version":
            continue
        found[table] = {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (k["constrained_columns"], k["referred_table"], k["referred_columns"])
                for k in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(k["column_names"] for k in inspector.get_unique_constraints(table)),
            "index": sorted((k["name"], k["column_names"]) for k in inspector.get_indexes(table)),
            "check": sorted((k["name"] or "", k["sqltext"]) for k in inspector.get_check_constraints(table)),
        }
    catalogue = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
        "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger "
        "WHERE NOT tgisinternal ORDER BY tgname",
    }[engine.dialect.name]
    with engine.connect() as connection:
        found["triggers"] = [tuple(row) for row in connection.execute(text(catalogue))]
    return found


def test_migrations_lead_to_the_tables(store: Engine, tmp_path, request) -> None:
    if store.dialect.name == "sqlite":
        other = db.engine(f"sqlite:///{tmp_path / 'other.db'}")
    else:
        other = db.engine(request.getfixturevalue("new_postgres")())
    db.metadata.create_all(other)
    assert shape(store) == shape(other)
    with store.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
    other.dispose()


def test_migrating_twice_changes_nothing(store: Engine) -> None:
    before = shape(store)
    assert migrations.upgrade(store) == NEWEST
    assert shape(store) == before


def test_comparison_sees_a_missing_trigger(store: Engine) -> None:
    before = shape(store)
    drop = {"sqlite": "DROP TRIGGER entry_no_update", "postgresql": "DROP TRIGGER entry_append_only ON entry"}
    with db.begin(store) as connection:
        connection.execute(text(drop[store.dialect.name]))
    assert shape(store) != before


NEWEST = "0016"
FORBIDDEN = [
    "UPDATE entry SET reason = 'x'",
    "UPDATE posting SET amount_minor = 1",
    "UPDATE ledger_account SET code = 'purse:0000000f'",
    "UPDATE record SET refusal = 1",
    "UPDATE right_movement SET amount = 1",
    "UPDATE statement_line SET amount_minor = 1",
    *(f"DELETE FROM {table}" for table in db.APPEND_ONLY),
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_books_refuse_to_be_edited(store: Engine, statement: str) -> None:
    write_an_entry(store)
    with pytest.raises(DBAPIError, match="append-only"), db.begin(store) as connection:
        connection.execute(text(statement))


def test_books_refuse_a_replaced_row(store: Engine) -> None:
    write_an_entry(store)
    statement = (
        "INSERT INTO entry SELECT school_id, entry_id, external_key, kind, 2, 2, NULL, NULL, NULL, 'edited',"
        " '', hash FROM entry WHERE school_id = 1"
    )
    if store.dialect.name == "sqlite":
        statement = statement.replace("INSERT", "INSERT OR REPLACE")
    else:
        statement += " LIMIT 1 ON CONFLICT (school_id, entry_id) DO UPDATE SET reason = excluded.reason"
    with pytest.raises(DBAPIError, match="append-only"), db.begin(store) as connection:
        connection.execute(text(statement))


@pytest.mark.postgres
@pytest.mark.parametrize("table", db.APPEND_ONLY)
def test_truncate_empties_no_book(new_postgres, table: str) -> None:
    engine = db.engine(new_postgres())
    migrations.upgrade(engine)
    write_an_entry(engine)
    with pytest.raises(DBAPIError, match="append-only"), db.begin(engine) as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))
    engine.dispose()


def test_zero_posting_leaves_nothing(store: Engine) -> None:
    with pytest.raises(IntegrityError):
        write_an_entry(store, amount=0)
    with db.reading(store) as connection:
        assert connection.execute(text("SELECT count(*) FROM entry")).scalar_one() == 0


def write_an_entry(engine: Engine, amount: int = 5) -> None:
    with db.begin(engine) as connection:
        write_rows(connection, amount)
        bulk.insert_rows(connection, db.statement_line, [(1, "bank", "T1", 1, amount, None, "", 0, 1)])


def write_rows(connection, amount: int = 5) -> None:
    bulk.insert_rows(
        connection, db.school, [(1, "school", "Europe/Moscow")], ["school_id", "name", "time_zone"]
    )
    add_device_and_record(connection, 1)
    bulk.insert_rows(connection, db.right_movement, [(1, 1, 7, 1, 5, 0, 1, 9, "table", 1, 1)])
    bulk.insert_rows(connection, db.ledger_account, [(1, 1, "world:bank")])
    bulk.insert_rows(connection, db.entry, [(1, 1, "k", "topup", 1, 1, None, None, None, "", "", bytes(32))])
    bulk.insert_rows(connection, db.posting, [(1, 1, 1, 1, amount)])


def add_device_and_record(connection, school: int) -> None:
    names = ["school_id", "device_id", "label", "kind"]
    bulk.insert_rows(connection, db.device, [(school, 7, "line-1", "canteen")], names)
    names = ["school_id", "device_id", "epoch", "key_sealed", "next_seq", "head_mac"]
    bulk.insert_rows(connection, db.device_epoch, [(school, 7, 1, b"", 2, bytes(32))], names)
    body = record.pack_body(record.Record(record.SALE, 1, 20000, 1, 11, 5, 300, 1))
    raw = record.seal(body, bytes(32))
    bulk.insert_rows(
        connection, db.record, [(school, 7, 1, 1, record.SALE, 1, 20000, 11, 5, 300, 1, raw, 12, 0)]
    )


OLD_BOOKS = [
    "INSERT INTO ledger_account VALUES (1, 1, 'world:bank'), (1, 2, 'purse:00000005'), (1, 3, 'caterer:1')",
    "INSERT INTO entry VALUES (1, 1, 'bank:1', 'topup', 1, 2, NULL, NULL, NULL, 'T-1')",
    "INSERT INTO entry VALUES (1, 2, 'record:00000007:1:1', 'sale', 11, 12, 7, 1, 1, '')",
    "INSERT INTO posting VALUES (1, 1, 1, 1, -1000), (1, 1, 2, 2, 1000)",
    "INSERT INTO posting VALUES (1, 2, 1, 2, -300), (1, 2, 2, 3, 300)",
    "INSERT INTO balance VALUES (1, 1, -1000), (1, 2, 700), (1, 3, 300)",
    (
        "INSERT INTO spending_right (school_id, device_id, epoch, account_id, bucket, granted, returned,"
        " spent, voided, journaled)"
        " VALUES (1, 7, 1, 5, 0, 500, 50, 300, 0, 520), (1, 7, 1, 6, 0, 0, 0, 0, 0, 0)"
    ),
]


@pytest.fixture
def old_books(empty_url: str) -> Iterator[Engine]:
    """A database at 0001 in which money has moved, brought to the newest schema."""
    engine = db.engine(empty_url)
    assert migrations.upgrade(engine, "0001") == "0001"
    with db.begin(engine) as connection:
        names = ["school_id", "name", "time_zone"]
        bulk.insert_rows(connection, db.school, [(1, "school", "Europe/Moscow"), (2, "empty", "UTC")], names)
        add_device_and_record(connection, 1)
        for statement in OLD_BOOKS:
            connection.execute(text(statement))
    assert migrations.upgrade(engine) == NEWEST
    yield engine
    engine.dispose()


def test_old_books_get_a_chain(old_books: Engine) -> None:
    with db.reading(old_books) as connection:
        hashes = [
            bytes(row[0]) for row in bulk.select(connection, "SELECT hash FROM entry ORDER BY entry_id")
        ]
        lines = (("world:bank", -1000), ("purse:00000005", 1000))
        texts = ("bank:1", "topup", "T-1", "")
        first = chain.entry_bytes(1, texts, (1, 2), (None, None, None), lines)
        assert hashes[0] == chain.follow(chain.genesis(1), first)
        assert accounting.head(connection, 1) == (2, hashes[1])
        assert accounting.head(connection, 2) == (0, chain.genesis(2))
        moved = bulk.select(
            connection, "SELECT counter, amount, cause FROM right_movement ORDER BY movement_id"
        )
        assert [tuple(row) for row in moved] == [
            (1, 500, "opening"), (2, 50, "opening"), (3, 300, "opening"), (5, 20, "opening")
        ]  # fmt: skip
        assert [tuple(row) for row in bulk.select(connection, "SELECT * FROM pending_balance")] == [
            (1, 7, 1, 0, 170)
        ]


def test_old_books_go_on(old_books: Engine) -> None:
    with db.begin(old_books) as connection:
        entry = accounting.Entry("bank:2", "topup", 5, (("world:bank", -1), ("purse:00000005", 1)))
        assert accounting.post(connection, 1, [entry], 9)[0].entry_id == 3
    with pytest.raises(DBAPIError, match="append-only"), db.begin(old_books) as connection:
        connection.execute(text("UPDATE entry SET reason = 'x'"))
