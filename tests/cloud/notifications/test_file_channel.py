"""The channel `file`: a spool that a person can read."""

import pytest

from cloud.notifications.channel import SENT, ChannelDown, Delivery, Message
from cloud.notifications.file_channel import FileChannel

# 2026-09-01 08:12:00 in Moscow.
MOMENT = 1_788_239_520
MESSAGE = Message(
    "0a1b2c", "entry", "+79001112233", "ru", "Маша: вход в школу 08:12", MOMENT, MOMENT + 3, "Europe/Moscow"
)  # fmt: skip


def test_message_is_a_readable_file(tmp_path):
    delivery = FileChannel(tmp_path / "spool").send(MESSAGE)
    assert delivery == Delivery("20260901-081200-0a1b2c.txt", SENT, 1, 0)
    assert (tmp_path / "spool" / delivery.provider_id).read_text(encoding="utf-8") == (
        "time: 2026-09-01 08:12:00 Europe/Moscow\n"
        "to: +79001112233\n"
        "channel: file\n"
        "about: entry\n"
        "id: 0a1b2c\n"
        "\n"
        "Маша: вход в школу 08:12\n"
    )


def test_same_id_again_is_one_file(tmp_path):
    channel = FileChannel(tmp_path)
    assert channel.send(MESSAGE) == channel.send(MESSAGE)
    channel.send(MESSAGE._replace(id="ffff"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20260901-081200-0a1b2c.txt",
        "20260901-081200-ffff.txt",
    ]


def test_half_a_file_is_never_seen(tmp_path, monkeypatch):
    """A worker that dies before the file is whole leaves nothing that looks like a message."""
    monkeypatch.setattr("os.replace", _die)
    with pytest.raises(KeyboardInterrupt):
        FileChannel(tmp_path).send(MESSAGE)
    assert list(tmp_path.glob("*.txt")) == []
    monkeypatch.undo()
    FileChannel(tmp_path).send(MESSAGE)
    assert len(list(tmp_path.glob("*.txt"))) == 1


def _die(*_):
    raise KeyboardInterrupt


def test_spool_is_for_the_owner_only(tmp_path):
    delivery = FileChannel(tmp_path / "spool").send(MESSAGE)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "spool" / delivery.provider_id).stat().st_mode & 0o777 == 0o600


def test_folder_that_takes_nothing_is_down(tmp_path):
    (tmp_path / "spool").write_text("in the way")
    with pytest.raises(ChannelDown) as down:
        FileChannel(tmp_path / "spool").send(MESSAGE)
    assert "Маша" not in str(down.value)


def test_id_cannot_leave_the_folder(tmp_path):
    with pytest.raises(ValueError, match="id of a message"):
        FileChannel(tmp_path).send(MESSAGE._replace(id="../evil"))


def test_message_does_not_show_itself():
    assert "Маша" not in repr(MESSAGE)
    assert "7900" not in repr(MESSAGE)
