"""The life of a real board: the real interpreter with a chip's heap, its flash, its end."""

import os
import signal

import pytest

from protocols import errors
from reader_host.virtual.board import BoardError, VirtualBoard, parse_line
from tests.reader_host.virtual.hand import CARDS, Hand, provision


def test_line_of_a_board_is_parsed():
    assert parse_line("verdict kind=go refusal=0 seq=3 time=5\n")[1]["kind"] == "go"
    assert parse_line("fault 12 sector_3\n") == ("fault", {"code": "12", "thing": "sector_3"})
    assert parse_line("\n") == ("", {})


def test_board_without_network_starts_and_stops(boards):
    board = boards()
    hand = Hand(board)
    hand.start()
    status = hand.ask("status")
    assert (status["online"], status["table"], status["refused"]) == ("0", "0", "0")
    assert int(status["heap"]) > 16000
    with pytest.raises(BoardError):
        board.start()
    board.stop()
    assert hand.event("ended") == {"code": "0"}
    assert not board.alive
    with pytest.raises(BoardError):
        board.send("status")


def test_interpreter_itself_is_killed(boards):
    board = boards()
    hand = Hand(board)
    hand.start()
    with open(f"/proc/{board.pid}/task/{board.pid}/children") as children:
        assert children.read() == ""
    # Ctrl-C goes to the terminal's own session only.
    assert os.getsid(board.pid) == board.pid
    board.kill()
    assert hand.event("ended") == {"code": str(-signal.SIGKILL)}


def test_board_ends_when_its_world_does(boards):
    board = boards()
    hand = Hand(board)
    hand.start()
    board._process.stdin.close()
    assert hand.event("ended") == {"code": "0"}


def test_board_is_provisioned_once(boards, tmp_path):
    board = boards()
    assert (board.folder / "provision.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        VirtualBoard.create(board.folder, provision("gate", 1))
    (board.folder / "provision.json").unlink()
    with pytest.raises(BoardError, match="fault 16"):
        VirtualBoard.create(board.folder, provision("gate", 1))


def test_secrets_stay_out_of_sight(boards):
    board = boards()
    hand = Hand(board)
    hand.start()
    for name in ("cmdline", "environ"):
        with open(f"/proc/{board.pid}/{name}", "rb") as file:
            content = file.read()
        assert bytes(range(32)).hex().encode() not in content
        assert b"word" not in content.replace(b"password", b"")
    hand.board.stop()
    assert "ended" not in (board.folder / "board.log").read_text()


def test_missing_flash_is_said(boards):
    board = boards()
    (board.folder / "flash.bin").unlink()
    board.start()
    hand = Hand(board)
    assert hand.event("ended") == {"code": "1"}
    assert hand.faults == [{"code": str(errors.STORAGE_MISSING), "thing": "flash"}]


def test_damaged_littlefs_is_never_formatted(boards):
    board = boards()
    path = board.folder / "littlefs.bin"
    path.write_bytes(bytes(path.stat().st_size))
    hand = Hand(board)
    hand.start()
    assert hand.faults == [{"code": str(errors.STORAGE_MISSING), "thing": "littlefs"}]
    board.send(f"card in {CARDS[0]}")
    assert hand.event("verdict")["kind"] == "ask"
    board.stop()
    assert set(path.read_bytes()) == {0}


def test_foreign_journal_locks_the_board(boards):
    first, second = boards(), boards()
    hand = Hand(first)
    hand.start()
    first.stop()
    values = (first.folder / "provision.json").read_text().replace('"epoch": 1', '"epoch": 2')
    (second.folder / "provision.json").write_text(values)
    (second.folder / "flash.bin").write_bytes((first.folder / "flash.bin").read_bytes())
    other = Hand(second)
    other.start()
    assert other.faults[0]["code"] == str(errors.JOURNAL_FOREIGN)
    second.send(f"card in {CARDS[0]}")
    assert other.event("verdict")["refusal"] == str(errors.DEVICE_LOCKED)
