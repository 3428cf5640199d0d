"""Envelopes and topics: nothing is read before MAC and topic agree."""

from protocols import errors
from protocols.wire import envelope, topics

KEY = bytes(range(32))
HEAD = envelope.Head(envelope.RECS, 1, 2, 3, 4, 5, 6)


def opened(payload, school=1, device=2, key=KEY, direction=envelope.TO_CLOUD):
    try:
        head = envelope.peek(payload, direction)
        return envelope.open_envelope(key, head, payload, school, device)
    except errors.Fault as fault:
        return fault.code


def test_sealed_message_opens():
    payload = envelope.seal(KEY, HEAD, b"body")
    assert len(payload) == 30 + 4 + 16
    assert opened(payload) == envelope.Envelope(HEAD, b"body")


def test_every_flipped_bit_is_refused():
    payload = bytearray(envelope.seal(KEY, HEAD, b"some body"))
    for index in range(len(payload) * 8):
        payload[index // 8] ^= 1 << index % 8
        assert isinstance(opened(bytes(payload)), int)
        payload[index // 8] ^= 1 << index % 8
    assert not isinstance(opened(bytes(payload)), int)


def test_every_prefix_is_refused():
    payload = envelope.seal(KEY, HEAD, b"some body")
    for size in range(len(payload)):
        assert isinstance(opened(payload[:size]), int)
    assert opened(payload + b"\0") == errors.WIRE_LENGTH


def test_wrong_sender_is_refused():
    payload = envelope.seal(KEY, HEAD, b"")
    assert opened(payload, device=9) == errors.WIRE_TOPIC
    assert opened(payload, school=9) == errors.WIRE_TOPIC
    assert opened(payload, key=bytes(32)) == errors.WIRE_MAC
    assert opened(payload, direction=envelope.TO_DEVICE) == errors.WIRE_DIRECTION


def test_body_beyond_a_kilobyte_is_refused():
    assert len(envelope.seal(KEY, HEAD, bytes(envelope.BODY_MAX))) == 1024
    try:
        envelope.seal(KEY, HEAD, bytes(envelope.BODY_MAX + 1))
        refusal = errors.OK
    except errors.Fault as fault:
        refusal = fault.code
    assert refusal == errors.WIRE_LENGTH


def test_topics_read_back():
    for leaf in topics.LEAVES:
        assert topics.parse(topics.topic(1, 0xABCDEF01, leaf)) == (1, 0xABCDEF01, leaf)


def test_foreign_topics_are_refused():
    good = topics.topic(1, 2, topics.UP)
    for text in ("", good + "/x", good[:-1], "kk/2" + good[4:], good.replace("00000001", "1"), good.upper()):
        try:
            topics.parse(text)
            refusal = errors.OK
        except errors.Fault as fault:
            refusal = fault.code
        assert refusal == errors.WIRE_TOPIC
