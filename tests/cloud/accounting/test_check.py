"""books check: whole books are called whole, and whatever was edited is found and named."""

import sqlite3

import pytest
from sqlalchemy import Engine, text

from cloud import bulk, db
from cloud.accounting import chain, service
from cloud.accounting.service import BANK, CATERER, Entry, purse
from protocols.ledger import record
from tests.cloud.ingest.peer import World
from tests.cloud.schools import add_school


def drop_triggers(conn) -> None:
    """What somebody with the owner's password would do first."""
    for table in db.APPEND_ONLY:
        if conn.dialect.name == "sqlite":
            for act in ("update", "delete"):
                conn.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{act}"))
        else:
            conn.execute(text(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}"))


def edit(engine: Engine, *statements: str) -> None:
    """Change rows behind the back of the books."""
    with db.begin(engine) as conn:
        drop_triggers(conn)
        for statement in statements:
            conn.execute(text(statement))


def found(engine: Engine, school: int) -> list[service.Difference]:
    with db.snapshot(engine) as conn:
        return service.check(conn, school).differences


@pytest.fixture
def world(store: Engine, tmp_path) -> World:
    """A school where every kind of movement has happened: placed, asked, recalled, sold, voided."""
    made = World(store, tmp_path)
    line = made.line
    for account in made.of_line(line):
        line.write(record.GRANT, account=account, amount=100_000)
        sale = line.sell(account)
        line.write(record.VOID, 1, account, 8500, sale)
        line.sell(account)
    line.write(record.RETURN, account=made.of_line(line)[0], amount=200)
    line.write(record.GRANT, account=made.of_line(line)[0], amount=120_000)  # nobody gave that
    made.handle(*line.all_recs())
    with db.begin(store) as conn:
        service.top_up(conn, made.school, made.pupils[0], 5000, "later", made.now)
    made.ingest.poll()
    return made


def test_played_books_are_whole(world: World) -> None:
    with db.snapshot(world.engine) as conn:
        seen: list[tuple[int, int]] = []
        told = service.check(conn, world.school, lambda done, of: seen.append((done, of)))
    assert told.differences == []
    count, movements, head = world.rows(
        "SELECT entry_count, movement_count, hash FROM books_head WHERE school_id = ?"
    )[0]
    assert (told.entries, told.movements, told.head.hash) == (count, movements, bytes(head))
    assert told.postings == 2 * count
    assert seen == [(count, count)]


def test_escrow_is_what_is_out(world: World) -> None:
    out = world.rows(
        "SELECT device_id, sum(CASE WHEN journaled > granted THEN journaled ELSE granted END"
        " - returned - spent + voided) FROM spending_right WHERE school_id = ? GROUP BY device_id"
    )
    with db.reading(world.engine) as conn:
        pending = service.pending(conn, world.school)
    assert {code: amount for code, amount in pending.items() if amount} == {
        service.escrow(device, 1): int(amount) for device, amount in out if amount
    }
    causes = {row[0] for row in world.rows("SELECT cause FROM right_movement WHERE school_id = ?")}
    assert causes >= {service.BY_TABLE, service.BY_RECORD}


SALE_ENTRY = "(SELECT max(entry_id) FROM entry WHERE kind = 'sale')"
EDITS = {
    "UPDATE entry SET reason = 'edited' WHERE entry_id = 2": ("chain", 2),
    "UPDATE entry SET happened_at = happened_at + 1 WHERE entry_id = 3": ("chain", 3),
    "UPDATE entry SET corrects = 'x' WHERE entry_id = 1": ("chain", 1),
    "UPDATE posting SET amount_minor = amount_minor * 2 WHERE entry_id = 2": ("chain", 2),
    "UPDATE posting SET amount_minor = amount_minor + 1 WHERE entry_id = 2 AND line = 2": ("chain", 2),
    "DELETE FROM posting WHERE entry_id = 2": ("chain", 2),
    "UPDATE ledger_account SET code = 'purse:0badcafe' WHERE code = 'caterer:1'": ("chain", None),
    f"DELETE FROM posting WHERE entry_id = {SALE_ENTRY}": ("chain", None),
    "UPDATE record SET amount = 1 WHERE seq = 2": ("record", None),
    "UPDATE record SET account_id = 1 WHERE seq = 2": ("record", None),
    "DELETE FROM record WHERE seq = 2": ("record", None),
    "UPDATE balance SET amount_minor = amount_minor + 1 WHERE amount_minor > 0": ("balance", 0),
    "DELETE FROM balance": ("balance", 0),
    "UPDATE books_head SET entry_count = entry_count + 1": ("head", 0),
    "UPDATE spending_right SET granted = granted + 1 WHERE spent > 0": ("counters", 0),
    "UPDATE right_movement SET amount = amount + 1 WHERE counter = 3": ("counters", 0),
    "DELETE FROM right_movement WHERE movement_id = 1": ("counters", 0),
    "UPDATE pending_balance SET amount = amount - 1": ("escrow", 0),
    "UPDATE books_head SET movement_count = 1": ("movements", 0),
}


@pytest.mark.parametrize("statement", EDITS)
def test_an_edited_row_is_found(world: World, statement: str) -> None:
    edit(world.engine, statement)
    what, entry_id = EDITS[statement]
    first = found(world.engine, world.school)[0]
    assert first.what == what
    if entry_id is not None:
        assert first.entry_id == entry_id
    else:
        assert first.entry_id > 0


_REPLACED = (
    (
        "INSERT OR REPLACE INTO posting SELECT school_id, entry_id, line, ledger_account_id, amount_minor * 2"
        " FROM posting WHERE entry_id = 2"
    ),
    (
        "INSERT OR REPLACE INTO posting (rowid, school_id, entry_id, line, ledger_account_id, amount_minor)"
        " SELECT rowid, school_id, entry_id, 9, ledger_account_id, amount_minor * 2 FROM posting"
    ),
    (
        "INSERT OR REPLACE INTO entry SELECT school_id, entry_id, external_key, kind, happened_at + 1,"
        " posted_at, device_id, epoch, seq, reason, corrects, hash FROM entry WHERE entry_id = 2"
    ),
    (
        "INSERT OR REPLACE INTO entry SELECT school_id, entry_id + 900, external_key, kind, happened_at,"
        " posted_at, device_id, epoch, seq, reason, corrects, hash FROM entry WHERE entry_id = 2"
    ),
    "REPLACE INTO ledger_account SELECT school_id, ledger_account_id + 900, code FROM ledger_account",
)


@pytest.mark.parametrize("statement", _REPLACED)
def test_plain_connection_replaces_no_row_of_the_books(
    store_sqlite: Engine, tmp_path, statement: str
) -> None:
    """Another program's connection to the SQLite file, which knows nothing of recursive_triggers."""
    world = World(store_sqlite, tmp_path)
    other = sqlite3.connect(str(store_sqlite.url.database))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.rollback()
    # The trigger is what refuses it.
    table = statement.split("INTO ")[1].split()[0]
    other.execute(f"DROP TRIGGER {table}_no_replace")
    assert other.execute(statement).rowcount > 0
    other.rollback()
    other.close()
    assert list(found(world.engine, world.school)) == []


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT OR REPLACE INTO posting SELECT school_id, entry_id, line, ledger_account_id,"
            " amount_minor * 2 FROM posting WHERE entry_id = 2"
        ),
        (
            "INSERT OR REPLACE INTO entry SELECT school_id, entry_id, external_key, kind, happened_at + 1,"
            " posted_at, device_id, epoch, seq, reason, corrects, hash FROM entry WHERE entry_id = 2"
        ),
    ],
)
def test_row_replaced_without_the_trigger_is_found(store_sqlite: Engine, tmp_path, statement: str) -> None:
    """Another program's connection to the SQLite file deletes a row that it replaces without a trigger."""
    world = World(store_sqlite, tmp_path)
    other = sqlite3.connect(str(store_sqlite.url.database))
    for table in ("entry", "posting"):
        other.execute(f"DROP TRIGGER {table}_no_replace")
    other.execute(statement)
    other.commit()
    other.close()
    first = found(world.engine, world.school)[0]
    assert (first.what, first.entry_id) == ("chain", 2)


def test_changed_bytes_of_a_record_are_found(world: World) -> None:
    with db.begin(world.engine) as conn:
        drop_triggers(conn)
        row = bulk.select(conn, "SELECT seq, raw FROM record WHERE type = 6 ORDER BY seq LIMIT 1")[0]
        raw = bytearray(row.raw)
        raw[16] ^= 1
        bulk.run(conn, "UPDATE record SET raw = ? WHERE seq = ? AND device_id = ?",
                 (bytes(raw), row.seq, world.line.device))  # fmt: skip
    (first,) = found(world.engine, world.school)
    assert (first.what, first.detail) == ("record", "the bytes of its record are damaged")


def test_entry_taken_from_the_end_is_found(world: World) -> None:
    last = world.rows("SELECT max(entry_id) FROM entry WHERE school_id = ?")[0][0]
    edit(
        world.engine,
        f"DELETE FROM posting WHERE entry_id = {last}",
        f"DELETE FROM entry WHERE entry_id = {last}",
    )
    assert {difference.what for difference in found(world.engine, world.school)} >= {"head", "balance"}


def test_entry_taken_from_the_middle_is_named(world: World) -> None:
    edit(world.engine, "DELETE FROM posting WHERE entry_id = 2", "DELETE FROM entry WHERE entry_id = 2")
    first = found(world.engine, world.school)[0]
    assert (first.what, first.entry_id) == ("order", 3)


def test_history_rewritten_to_its_end_misses_the_witness(world: World) -> None:
    """An insider who recomputes the whole chain leaves books that are whole, under another head."""
    with db.begin(world.engine) as conn:
        before = service.head(conn, world.school)
        drop_triggers(conn)
        conn.execute(text("UPDATE entry SET reason = 'edited' WHERE entry_id = 1"))
        last = chain.genesis(world.school)
        for row in bulk.select(conn, "SELECT * FROM entry ORDER BY entry_id"):
            lines = [
                (line.code, line.amount_minor)
                for line in bulk.select(
                    conn,
                    "SELECT a.code, p.amount_minor FROM posting p JOIN ledger_account a"
                    " ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
                    " WHERE p.entry_id = ? ORDER BY p.line",
                    (row.entry_id,),
                )
            ]
            content = chain.entry_bytes(
                row.entry_id, (row.external_key, row.kind, row.reason, row.corrects),
                (row.happened_at, row.posted_at), (row.device_id, row.epoch, row.seq), lines,
            )  # fmt: skip
            last = chain.follow(last, content)
            bulk.run(conn, "UPDATE entry SET hash = ? WHERE entry_id = ?", (last, row.entry_id))
        bulk.run(conn, "UPDATE books_head SET hash = ?", (last,))
    assert found(world.engine, world.school) == []
    with db.reading(world.engine) as conn:
        assert service.head(conn, world.school) != before


def test_overdrawn_purse_is_found(world: World) -> None:
    account = world.of_line(world.line)[0]
    all_of_it = world.balance(account)
    takes = Entry("payout", "payout", 1, ((purse(account), -all_of_it), (BANK, all_of_it)))
    with db.begin(world.engine) as conn:
        service.post(conn, world.school, [takes], 9)
    (first,) = found(world.engine, world.school)
    assert first.what == "free"
    assert first.detail.startswith(purse(account))


def test_continuous_check_reads_what_is_new(store: Engine) -> None:
    school = add_school(store)
    batch = [Entry(f"k{n}", "sale", n, ((purse(1), -n), (CATERER, n))) for n in range(1, 8)]
    with db.begin(store) as conn:
        service.post(conn, school, batch, 9)
        assert service.check_next(conn, school, 10, limit=5).entries == 5
        assert service.check_next(conn, school, 11, limit=5).entries == 2
        assert service.check_next(conn, school, 12, limit=5).entries == 0
        service.post(conn, school, [batch[0]._replace(external_key="more")], 9)
        told = service.check_next(conn, school, 13)
        assert (told.entries, told.differences, told.head) == (1, [], service.head(conn, school))


def test_continuous_check_stays_at_a_difference(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        service.post(conn, school, [Entry("k", "sale", 1, ((purse(1), -1), (CATERER, 1)))], 9)
        assert service.check_next(conn, school, 10).differences == []
        service.post(conn, school, [Entry("l", "sale", 1, ((purse(1), -1), (CATERER, 1)))], 9)
    edit(store, f"UPDATE entry SET reason = 'x' WHERE entry_id = 2 AND school_id = {school}")
    for now in (11, 12):
        with db.begin(store) as conn:
            told = service.check_next(conn, school, now)
            assert [difference.entry_id for difference in told.differences] == [2]
