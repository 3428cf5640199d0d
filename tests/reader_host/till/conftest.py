"""A canteen for the tests of one file: a real board, its cloud, a till."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.components import free_port_number
from tests.fixtures.embedded import EmbeddedBroker
from tests.reader_host.till.parts import Canteen, canteen


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canteen]:
    """A till that serves; its sales go on from test to test."""
    folder = tmp_path_factory.mktemp("till")
    broker = EmbeddedBroker(folder, free_port_number())
    broker.start()
    try:
        with canteen(folder, broker.port) as made:
            yield made
    finally:
        broker.stop()
