"""A consistent copy of the database while it is written to, and the way back.

SQLite by its online backup, PostgreSQL by pg_dump and pg_restore.  A password
goes through a file that only the owner can read, never through argv.
"""

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url

SQLITE_NAME, POSTGRES_NAME = "cloud.db", "cloud.pgdump"


class DatabaseRefused(Exception):
    """The database could not be copied or put back; says why."""


def name_of(url: str) -> str:
    """What a copy of this database is called."""
    return SQLITE_NAME if make_url(url).get_backend_name() == "sqlite" else POSTGRES_NAME


def copy_out(url: str, target: Path) -> None:
    """Write a copy of the database as it is at one moment."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        source = sqlite3.connect(str(parsed.database))
        copy = sqlite3.connect(target)
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE").close()
        finally:
            copy.close()
            source.close()
        os.chmod(target, 0o600)
        return
    with _postgres(parsed) as (place, environment):
        _run(["pg_dump", "--format=custom", f"--file={target}", *place], environment)
    os.chmod(target, 0o600)


def copy_in(url: str, source: Path) -> None:
    """Put a copy in the place of the database."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        beside = path.with_name(path.name + ".restored")
        beside.write_bytes(source.read_bytes())
        os.chmod(beside, 0o600)
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        os.replace(beside, path)
        return
    with _postgres(parsed) as (place, environment):
        how = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
        _run(["pg_restore", *how, *place, str(source)], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DatabaseRefused(f"{command[0]} is not installed") from error
    if done.returncode:
        raise DatabaseRefused(f"{command[0]}: {done.stderr.strip()[:300]}")


@contextmanager
def _postgres(url: URL) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Arguments that name the database, and an environment that names the file with its password."""
    host = url.host or url.query.get("host", "")
    values = {"--host": host, "--port": url.port, "--username": url.username, "--dbname": url.database}
    place = [f"{name}={value}" for name, value in values.items() if value]
    with tempfile.NamedTemporaryFile("w", prefix="klasskart-", suffix=".pgpass") as file:
        if url.password:
            secret = str(url.password).replace("\\", "\\\\").replace(":", "\\:")
            file.write(f"*:*:*:*:{secret}\n")
            file.flush()
        yield place, {**os.environ, "PGPASSFILE": file.name}
