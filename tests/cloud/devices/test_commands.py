"""`confirm-day` and `command` by hand: who and why are kept, what cannot be is one line."""

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from cloud import db
from cloud.config import Config
from cloud.devices import commands
from cloud.devices import service as devices
from tests.cloud.ingest.peer import World


@pytest.fixture
def world(store_sqlite: Engine, tmp_path) -> World:
    Config(tmp_path, f"sqlite:///{tmp_path / 'cloud.db'}").write()
    return World(store_sqlite, tmp_path)


def run(world: World, command, *words: str) -> Result:
    return CliRunner().invoke(command, [*words, "--config", str(world.folder)])


def kept(world: World):
    with db.reading(world.engine) as conn:
        rows = devices.commands_of(conn, world.school, world.gate.device)
    return [(row.kind, row.argument, row.who, row.reason, row.outcome) for row in rows]


def test_confirmed_day_keeps_who_and_why(world: World) -> None:
    done = run(world, commands.confirm_day, "gate-1", "--reason", "looked at both clocks", "--by", "Petrova")
    assert (done.exit_code, done.output) == (0, "gate-1 is told the time as soon as it is online\n")
    assert kept(world) == [("confirm_day", 0, "Petrova", "looked at both clocks", "waiting")]


def test_command_keeps_who_and_why(world: World) -> None:
    words = ("gate-1", "open", "--direction", "out", "--reason", "no card", "--by", "Petrova")
    done = run(world, commands.command, *words)
    assert (done.exit_code, done.output) == (0, "command 1 waits for gate-1 for 30 s\n")
    assert kept(world) == [("open", 1, "Petrova", "no card", "waiting")]


def test_who_asks_is_known_without_being_said(world: World, monkeypatch) -> None:
    monkeypatch.setenv("LOGNAME", "director")
    assert run(world, commands.confirm_day, "gate-1", "--reason", "late").exit_code == 0
    assert kept(world)[0][2] == "director"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (commands.confirm_day, ("gate-9", "--reason", "x")),
        (commands.confirm_day, ("gate-1", "--reason", " ")),
        (commands.confirm_day, ("gate-1",)),
        (commands.command, ("line-1", "open", "--reason", "x")),
        (commands.command, ("gate-9", "open", "--reason", "x")),
        (commands.command, ("gate-1", "open", "--reason", "")),
        (commands.command, ("gate-1", "explode", "--reason", "x")),
        (commands.command, ("gate-1", "open", "--direction", "up", "--reason", "x")),
    ],
)
def test_what_cannot_be_is_refused(world: World, command, words) -> None:
    assert run(world, command, *words).exit_code == 2
    assert kept(world) == []
