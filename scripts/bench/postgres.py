"""A PostgreSQL of the bench's own: durable, on a socket in a temporary folder, gone with the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from scripts.bench.report import BenchError

_START_S = 20


def _program(name: str) -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"{name} is not installed: apt-get install postgresql")
    return Path(found)


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database on a server whose commits wait for the disk.

    Raises BenchError when PostgreSQL is not installed or does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="klasskart-bench-postgres-"))
    owner: str | None = None
    if os.getuid() == 0:  # initdb refuses root
        owner = "postgres"
        shutil.chown(folder, owner)
    try:
        subprocess.run(
            [_program("initdb"), "-D", folder / "data", "-A", "trust", "-E", "UTF8", "-U", "postgres"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, user=owner,
        )  # fmt: skip
        process = subprocess.Popen(
            [_program("postgres"), "-D", folder / "data", "-k", folder, "-c", "listen_addresses="],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, user=owner,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait(folder)
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            process.terminate()
            process.wait(_START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(folder: Path) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@/postgres?host={folder}").close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > until:
                raise BenchError("PostgreSQL does not start") from error
            time.sleep(0.1)
