"""What tests of the desk start from: a folder in memory, and a cloud by the contract."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reader_host.desk.parts import FakeCloud

_MEMORY = Path("/dev/shm")


@pytest.fixture
def memory() -> Iterator[Path]:
    """An empty folder that is gone after the test; no cut at an APDU waits for a disk."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    """The desk's part of a cloud, listening."""
    made = FakeCloud()
    made.start()
    yield made
    made.stop()
