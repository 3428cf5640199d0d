"""The application's login on PostgreSQL: it can do the cloud's work, and cannot rewrite the books."""

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from cloud import db, migrations
from cloud.accounting import service as accounting
from cloud.store import restrict
from protocols.ledger import record
from tests.cloud.ingest.peer import World

PASSWORD = "a-password-of-a-test"

REFUSED = "permission denied|must be owner"

pytestmark = pytest.mark.postgres


@pytest.fixture
def application(new_postgres):
    """(the owner's engine, an engine with the application's login) on one migrated database."""
    url = new_postgres()
    owner = db.engine(url)
    migrations.upgrade(owner)
    for _again in range(2):  # safe to run after each migration
        with db.begin(owner) as conn:
            restrict(conn, "klasskart_application", PASSWORD)
    user = make_url(url).set(username="klasskart_application", password=PASSWORD)
    application = db.engine(user.render_as_string(hide_password=False))
    yield owner, application
    application.dispose()
    with db.begin(owner) as conn:
        conn.execute(text("DROP OWNED BY klasskart_application"))
        conn.execute(text("DROP ROLE klasskart_application"))
    owner.dispose()


def test_application_does_a_days_work(application, tmp_path) -> None:
    world = World(application[1], tmp_path)
    account = world.of_line(world.line)[0]
    world.line.write(record.GRANT, account=account, amount=9000)
    sale = world.line.sell(account)
    world.line.write(record.VOID, 1, account, 8500, sale)
    world.handle(*world.line.all_recs())
    world.check_books()
    with db.snapshot(application[1]) as conn:
        assert accounting.check(conn, world.school).differences == []


@pytest.mark.parametrize("table", db.APPEND_ONLY)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET school_id = 1",
        "DELETE FROM {}",
        "TRUNCATE {} CASCADE",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "ALTER TABLE {} ADD COLUMN more INTEGER",
        "DROP TRIGGER {}_append_only ON {}",
        "DROP TABLE {} CASCADE",
    ],
)
def test_application_cannot_rewrite_books(application, statement: str, table: str) -> None:
    with (
        pytest.raises(DBAPIError, match=REFUSED),
        db.begin(application[1]) as conn,
    ):
        conn.execute(text(statement.format(table, table)))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a INTEGER)",
        "CREATE FUNCTION mine() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
        "DELETE FROM balance",
        "DELETE FROM books_head",
        "UPDATE alembic_version SET version_num = '0001'",
        "SET session_replication_role = replica",
    ],
)
def test_application_has_no_ddl(application, statement: str) -> None:
    with (
        pytest.raises(DBAPIError, match=REFUSED),
        db.begin(application[1]) as conn,
    ):
        conn.execute(text(statement))


@pytest.mark.parametrize(
    ("role", "password"), [("a b", PASSWORD), ("a'", PASSWORD), ("a", "short"), ("a", "x" * 20 + "'")]
)
def test_odd_names_make_no_role(application, role: str, password: str) -> None:
    with pytest.raises(ValueError), db.begin(application[0]) as conn:
        restrict(conn, role, password)


def test_sqlite_has_no_roles(store_sqlite) -> None:
    with pytest.raises(ValueError, match="PostgreSQL"), db.begin(store_sqlite) as conn:
        restrict(conn, "a", PASSWORD)
