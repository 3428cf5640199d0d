"""Every message: golden bytes, the way there and back, no prefix accepted."""

import json

from protocols import errors
from protocols.wire import messages

NONCE = bytes(range(8))
MAC = bytes(range(32))
EXAMPLES = {
    "hello": messages.Hello(9, 4, 1, MAC, NONCE, 2, 3, 65536, 0, bytes(range(12))),
    "recs": messages.Recs(5, 2, MAC, MAC, bytes(64)),
    "need": messages.Need(1, 77, 0, 8500),
    "want": messages.Want(3, 0, 8),
    "manifest": messages.Manifest(3, 640, 20512, 22, MAC),
    "chunk": messages.Chunk(3, 21, b"data"),
    "time": messages.Time(1788220800, 20697, NONCE, 1),
    "command": messages.Command(5, 1, 1, 65292, NONCE),
    "answer": messages.Answer(1, 77, 0, 8500),
    "settings": messages.Settings(
        4, 180, 3000, 400, 5000, 3, 100000, 20662, 21097, 20000, (messages.MenuItem(1, 480, 659, 8500, 1),)
    ),
    "ack": messages.Ack(17, bytes(range(12))),
    "lock": 71,
    "rights": [messages.Right(77, 0, 5000), messages.Right(78, 1, 0)],
}


def pack(name, value):
    if name == "ack":
        return messages.pack_ack(*value)
    return getattr(messages, "pack_" + name)(value)


def unpack(name, body):
    try:
        return getattr(messages, "unpack_" + name)(body)
    except errors.Fault as fault:
        return "refused %d" % fault.code


def test_messages_match_the_vectors():
    with open("protocols/vectors/messages.json") as file:
        vectors = json.load(file)
    assert sorted(vectors) == sorted(EXAMPLES)
    for name, text in vectors.items():
        assert pack(name, EXAMPLES[name]) == bytes.fromhex(text), name


def test_messages_read_back():
    for name, value in EXAMPLES.items():
        again = unpack(name, pack(name, value))
        if name == "chunk":
            again = messages.Chunk(again.version, again.index, bytes(again.data))
        assert again == value, name


def test_short_and_long_bodies_are_refused():
    for name, value in EXAMPLES.items():
        body = pack(name, value)
        sizes = range(6) if name == "chunk" else range(len(body))
        for size in sizes:
            assert unpack(name, body[:size]) == "refused %d" % errors.WIRE_BODY, (name, size)
        if name != "chunk":
            assert unpack(name, body + b"\0") == "refused %d" % errors.WIRE_BODY, name


def test_counts_beyond_the_limit_are_refused():
    recs = bytearray(pack("recs", EXAMPLES["recs"]))
    for count in (0, 1, 3, 21, 255):
        recs[4] = count
        assert unpack("recs", bytes(recs)) == "refused %d" % errors.WIRE_BODY


def test_full_messages_fit():
    assert len(pack("rights", [messages.Right(1, 0, 1)] * messages.RIGHTS_MAX)) <= messages.BODY_MAX
    assert messages.MENU_MAX >= 80


def test_unknown_commands_are_refused():
    for kind, argument in ((0, 0), (3, 0), (1, 2), (2, 1), (255, 255)):
        body = messages.pack_command(messages.Command(5, kind, argument, 65292, NONCE))
        assert unpack("command", body) == "refused %d" % errors.WIRE_BODY, (kind, argument)
