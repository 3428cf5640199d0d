"""What the tests of the whole way share: commands that end with the test, and a real school's files."""

import pytest

from tests.system.plays import Command, big_school


@pytest.fixture
def klasskart(tmp_path):
    """Starts `klasskart demo ...` with a data folder of its own, and ends it with the test."""
    started = []

    def start(*arguments: object) -> Command:
        folder = tmp_path / f"command-{len(started)}"
        folder.mkdir()
        command = Command(folder, *map(str, arguments))
        started.append(command)
        return command

    yield start
    for command in started:
        command.end()


@pytest.fixture(scope="session")
def school_15():
    """The folder of the real school; the test fails when it is missing."""
    return big_school()
