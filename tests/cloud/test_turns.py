"""A school's turn on PostgreSQL ends before the disk has the commit; begin() returns when it has."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from cloud import bulk, db, migrations
from cloud import store as store_module
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, Entry, purse
from tests.cloud.schools import add_school

pytestmark = pytest.mark.postgres
_WAIT_S = 20


@pytest.fixture
def durable(new_postgres):
    """An engine on a migrated database whose commits wait for the disk: those of other tests do not."""
    url = new_postgres()
    plain = db.engine(url)
    with db.begin(plain) as conn:
        bulk.run(conn, f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = on")
    plain.dispose()
    engine = db.engine(url)
    migrations.upgrade(engine)
    yield engine
    engine.dispose()


def sale(number: int) -> Entry:
    return Entry(f"sale {number}", "sale", number, ((purse(1 + number % 5), -number), (CATERER, number)))


def commits_that_reached_the_disk(engine, school: int, times: int) -> int:
    """Of so many transactions in turns, how many were on the disk when begin() returned."""
    reached = 0
    for number in range(1, times + 1):
        with db.begin(engine) as conn:
            accounting.post(conn, school, [sale(number)], number)
            written = bulk.select(conn, "SELECT pg_current_wal_insert_lsn()::text")[0][0]
        with db.reading(engine) as conn:
            statement = "SELECT pg_current_wal_flush_lsn() > CAST(? AS pg_lsn)"
            reached += bulk.select(conn, statement, (written,))[0][0]
    return reached


def test_commit_is_on_disk_when_told(durable) -> None:
    assert commits_that_reached_the_disk(durable, add_school(durable), 20) == 20


def test_missing_wait_for_disk_shows(durable, monkeypatch) -> None:
    """The test above must be able to fail."""
    school = add_school(durable)
    monkeypatch.setattr(store_module, "_ON_THE_DISK", "SELECT 1")
    assert commits_that_reached_the_disk(durable, school, 20) < 20


def test_next_writer_does_not_wait_for_disk(durable, monkeypatch) -> None:
    school, disk = add_school(durable), 7
    monkeypatch.setattr(store_module, "_ON_THE_DISK", f"SELECT pg_advisory_lock({disk})")

    def write() -> None:
        with db.begin(durable) as conn:
            accounting.post(conn, school, [sale(1)], 1)

    with db.reading(durable) as slow:
        bulk.select(slow, f"SELECT pg_advisory_lock({disk})")
        writer = threading.Thread(target=write)
        writer.start()
        with db.reading(durable) as conn:
            bulk.run(conn, f"SET LOCAL lock_timeout = '{_WAIT_S}s'")
            while not accounting.head(conn, school).entry_count:
                pass  # until the first transaction has ended
            db.lock_school(conn, school)
        assert writer.is_alive()
        bulk.select(slow, f"SELECT pg_advisory_unlock({disk})")
        writer.join(_WAIT_S)
        assert not writer.is_alive()


def test_other_transactions_wait_as_usual(durable) -> None:
    school = add_school(durable)
    with db.begin(durable) as conn:
        db.lock_school(conn, school)
        assert bulk.select(conn, "SHOW synchronous_commit")[0][0] == "off"
    with db.begin(durable) as conn:
        assert bulk.select(conn, "SHOW synchronous_commit")[0][0] == "on"


def test_what_fails_in_a_turn_is_undone(durable) -> None:
    school = add_school(durable)

    def write() -> None:
        with db.begin(durable) as conn:
            accounting.post(conn, school, [sale(1)], 1)
            bulk.run(conn, "DELETE FROM entry")

    with pytest.raises(DBAPIError):
        write()
    with db.begin(durable) as conn:
        assert accounting.head(conn, school).entry_count == 0
        assert bulk.select(conn, "SHOW synchronous_commit")[0][0] == "on"


def test_server_gone_before_disk_is_told(durable, monkeypatch) -> None:
    """A commit whose wait for the disk fails is no success: the caller sends the same again."""
    school = add_school(durable)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_ON_THE_DISK", "SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(OperationalError), db.begin(durable) as conn:
            accounting.post(conn, school, [sale(1)], 1)
    with db.begin(durable) as conn:
        (again,) = accounting.post(conn, school, [sale(1)], 2)
    assert (again.entry_id, again.refusal) == (1, 0)


def test_four_writers_make_one_chain(durable) -> None:
    """Each posts keys of its own and keys that all post: one entry a key, no gap, nothing refused."""
    school = add_school(durable)

    def write(writer: int) -> list[accounting.PostResult]:
        results = []
        for number in range(1, 26):
            with db.begin(durable) as conn:
                own, shared = sale(1000 * writer + number), sale(number)
                results += accounting.post(conn, school, [own, shared], number)
        return results

    with ThreadPoolExecutor(4) as pool:
        results = [result for part in pool.map(write, range(1, 5)) for result in part]
    assert {result.refusal for result in results} == {0}
    assert {result.entry_id for result in results} == set(range(1, 126))
    with db.snapshot(durable) as conn:
        told = accounting.check(conn, school)
    assert (told.differences, told.entries) == ([], 125)
