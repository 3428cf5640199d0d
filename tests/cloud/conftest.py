"""A migrated store on each database, for the tests of the cloud."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import Engine

from cloud import db, migrations
from cloud.archive import Archive


@pytest.fixture(autouse=True)
def archives_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker has one archive for life, the tests a thousand: past 1,024 open files select() ends."""
    made: list[Archive] = []
    begin = Archive.__init__

    def noted(archive: Archive, folder: Path | str) -> None:
        begin(archive, folder)
        made.append(archive)

    monkeypatch.setattr(Archive, "__init__", noted)
    yield
    for archive in made:
        archive.close()


@pytest.fixture(autouse=True)
def logs_go_where_they_are_read() -> Iterator[None]:
    """A command of a test writes its logs into its own output; the next test's do not go there."""
    yield
    structlog.reset_defaults()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each of the two kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cloud.db'}"
    return str(request.getfixturevalue("new_postgres")())


@pytest.fixture
def store(empty_url: str) -> Iterator[Engine]:
    """An engine on a database that stands at the newest schema."""
    engine = db.engine(empty_url)
    migrations.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store_sqlite(tmp_path: Path) -> Iterator[Engine]:
    """The same on SQLite alone, where the database plays no part in what is tested."""
    engine = db.engine(f"sqlite:///{tmp_path / 'cloud.db'}")
    migrations.upgrade(engine)
    yield engine
    engine.dispose()
