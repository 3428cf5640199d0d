"""The data folder of a play: one play at a time, nothing of anybody else's removed, kept over a restart."""

import json
import os

import pytest

from cloud.config import Config
from scripts.play.folder import DataFolder, Device, FolderRefused, World

WORLD = World(
    7, "Europe/Moscow", "RUB", [Device("gate-1", "gate", "0000000a", 1)], {"0000002a": "a:0F569FAB"}
)


@pytest.fixture
def folder(tmp_path):
    made = DataFolder(tmp_path / "data")
    made.take(fresh=False)
    yield made
    made.close()


def test_second_play_is_refused(folder):
    """The message names the process that has it."""
    folder.configure(broker_port=1, web_port=2)
    with pytest.raises(FolderRefused, match=f"in use by process {os.getpid()}"):
        DataFolder(folder.path).take(fresh=False)
    folder.close()
    after = DataFolder(folder.path)
    after.take(fresh=False)
    after.close()


def test_world_is_kept_for_its_owner(folder):
    folder.configure(broker_port=1, web_port=2)
    folder.write_world(WORLD)
    assert folder.read_world() == WORLD
    assert (folder.path / "world.json").stat().st_mode & 0o077 == 0
    assert "0F569FAB" not in repr(WORLD)


def test_second_start_moves_ports_only(folder):
    """Tokens and passwords stay, or boards and pages of yesterday would be locked out."""
    first = folder.configure(broker_port=1, web_port=2)
    second = folder.configure(broker_port=3, web_port=4)
    assert (second.demo_token, second.broker_password) == (first.demo_token, first.broker_password)
    assert (Config.load(folder.path).broker_port, Config.load(folder.path).web_port) == (3, 4)


def test_boards_are_told_of_the_port(folder):
    board = folder.board("gate-1")
    board.mkdir(parents=True)
    (board / "provision.json").write_text(json.dumps({"broker_port": 1, "key": "k"}))
    folder.move_boards(WORLD, 9)
    assert json.loads((board / "provision.json").read_text()) == {"broker_port": 9, "key": "k"}
    assert (board / "provision.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("fresh", [False, True])
def test_foreign_folder_is_left_alone(tmp_path, fresh):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FolderRefused, match="choose another --data"):
        DataFolder(tmp_path).take(fresh=fresh)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_fresh_empties_our_own(folder):
    folder.configure(broker_port=1, web_port=2)
    folder.write_world(WORLD)
    folder.close()
    again = DataFolder(folder.path)
    assert again.is_made
    again.take(fresh=True)
    assert not again.is_made
    again.close()


def test_half_made_school_is_made_again(folder):
    """A first start that was killed leaves no school that is half there."""
    folder.configure(broker_port=1, web_port=2)
    (folder.path / "cloud.db").write_bytes(b"half")
    folder.close()
    again = DataFolder(folder.path)
    again.take(fresh=False)
    assert not (again.path / "cloud.db").exists()
    again.close()
