"""The wire to a till: frames survive any noise, a talk takes each message once, from its other end only."""

import random

from protocols.errors import (
    BASKET_ITEMS,
    OK,
    WIRE_BODY,
    WIRE_LENGTH,
    WIRE_MAC,
    WIRE_NONCE,
    WIRE_STALE,
    WIRE_TYPE,
    Fault,
)
from protocols.wire import till

KEY = till.pairing_key(bytes(range(32)))


def code_of(work, *arguments):
    try:
        work(*arguments)
    except Fault as fault:
        return fault.code
    return OK


def packet_of(framed):
    assert framed[-1] == 0
    assert 0 not in framed[:-1]
    return till.unframe(framed[:-1])


def pair(key=KEY):
    """A till and a line that have opened a talk."""
    desk, line = till.Talk(key, False), till.Talk(KEY, True)
    kind, nonce = line.open(packet_of(desk.begin(b"tillside")))
    assert kind == till.OPEN
    desk.open(packet_of(line.answer(nonce, b"lineside")))
    line.open(packet_of(desk.seal(till.ASK)))
    return desk, line


def test_published_frames():
    """The examples of the article by Cheshire and Baker."""
    for packet, framed in (
        (b"", b"\x01\x00"),
        (b"\x00", b"\x01\x01\x00"),
        (b"\x00\x00", b"\x01\x01\x01\x00"),
        (b"\x00\x11\x00", b"\x01\x02\x11\x01\x00"),
        (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33\x00"),
        (b"\x11\x22\x33\x44", b"\x05\x11\x22\x33\x44\x00"),
    ):
        assert till.frame(packet) == framed
        assert till.unframe(framed[:-1]) == packet


def test_frames_come_out_of_any_pieces_and_noise():
    random.seed(5)
    for _ in range(60):
        packets = [
            bytes([random.randrange(256) * random.randrange(2) for _ in range(random.randrange(1, 190))])
            for _ in range(random.randrange(1, 6))
        ]
        noise = bytes([random.randrange(256) for _ in range(random.randrange(600))]) + b"\0"
        stream = noise + b"".join([till.frame(each) for each in packets])
        frames, found = till.Frames(), []
        while stream:
            size = random.randrange(1, 70)
            found += frames.take(stream[:size])
            stream = stream[size:]
        assert found[len(found) - len(packets) :] == packets


def test_endless_frame_takes_no_room():
    frames = till.Frames()
    for _ in range(100):
        assert frames.take(b"\x05" * 64) == []
    assert len(frames._held) <= till.PACKET_MAX + 1
    assert frames.take(b"\0" + till.frame(b"abc")) == [b"abc"]
    assert frames.dropped == 1


def test_talk_opens_and_speaks_both_ways():
    desk, line = pair()
    ring = till.pack_ring(7, ((12, 2), (3, 1)))
    assert line.open(packet_of(desk.seal(till.RING, ring))) == (till.RING, ring)
    assert till.unpack_ring(ring) == (7, ((12, 2), (3, 1)))
    told = till.pack_verdict(till.Verdict(7, till.SERVED, 99, 1756702800))
    assert desk.open(packet_of(line.seal(till.VERDICT, told))) == (till.VERDICT, told)


def test_nothing_is_said_before_a_talk():
    for is_line in (False, True):
        assert code_of(till.Talk(KEY, is_line).seal, till.ASK) == WIRE_NONCE
    desk, line = pair()
    assert code_of(till.Talk(KEY, True).open, packet_of(desk.seal(till.ASK))) == WIRE_NONCE
    assert code_of(till.Talk(KEY, False).open, packet_of(line.seal(till.STATE))) == WIRE_NONCE


def test_every_flipped_bit_and_every_prefix_is_refused():
    desk, line = pair()
    packet = bytearray(packet_of(desk.seal(till.RING, till.pack_ring(7, ((12, 2),)))))
    for place in range(len(packet) * 8):
        packet[place // 8] ^= 1 << place % 8
        assert code_of(line.open, bytes(packet)) in (WIRE_MAC, WIRE_TYPE, WIRE_LENGTH)
        packet[place // 8] ^= 1 << place % 8
    for size in range(len(packet)):
        assert code_of(line.open, bytes(packet[:size])) in (WIRE_MAC, WIRE_LENGTH)
    assert code_of(line.open, bytes(packet)) == OK


def test_message_counts_once():
    desk, line = pair()
    first, second = packet_of(desk.seal(till.ASK)), packet_of(desk.seal(till.ASK))
    assert code_of(line.open, second) == OK
    for replayed in (second, first):
        assert code_of(line.open, replayed) == WIRE_STALE


def test_own_message_does_not_come_back():
    desk, line = pair()
    assert code_of(line.open, packet_of(line.seal(till.STATE))) == WIRE_TYPE
    # A kind that the other end may send, under the right key, but said by this end.
    assert code_of(line.open, packet_of(line.seal(till.ASK))) == WIRE_MAC
    assert code_of(desk.open, packet_of(desk.seal(till.STATE))) == WIRE_MAC


def test_stranger_opens_nothing():
    stranger = till.Talk(till.pairing_key(bytes(32)), False)
    assert code_of(till.Talk(KEY, True).open, packet_of(stranger.begin(b"tillside"))) == WIRE_MAC


def test_replayed_opening_ends_no_talk():
    desk = till.Talk(KEY, False)
    begun = packet_of(desk.begin(b"tillside"))
    line = till.Talk(KEY, True)
    opened = packet_of(line.answer(line.open(begun)[1], b"lineside"))
    desk.open(opened)
    assert code_of(line.open, packet_of(desk.seal(till.ASK))) == OK
    # The wire has been listened to: an old OPEN again, and what was said behind it.
    old = packet_of(desk.seal(till.ASK))
    line.answer(line.open(begun)[1], b"otherone")
    assert code_of(line.open, old) == OK
    assert code_of(line.open, old) == WIRE_STALE
    assert code_of(line.open, packet_of(desk.seal(till.ASK))) == OK
    assert code_of(desk.open, opened) == WIRE_STALE
    assert code_of(desk.open, packet_of(line.seal(till.STATE))) == OK


def test_answer_to_another_opening_is_refused():
    desk, line = till.Talk(KEY, False), till.Talk(KEY, True)
    old = packet_of(line.answer(line.open(packet_of(desk.begin(b"tillside")))[1], b"lineside"))
    desk.begin(b"newnonce")
    assert code_of(desk.open, old) == WIRE_STALE
    assert not desk.is_open


def test_new_talk_forgets_the_old_one():
    desk, line = pair()
    old = packet_of(desk.seal(till.ASK))
    desk.open(packet_of(line.answer(line.open(packet_of(desk.begin(b"newnonce")))[1], b"linenext")))
    assert code_of(line.open, packet_of(desk.seal(till.ASK))) == OK
    assert code_of(line.open, old) == WIRE_MAC


def test_bodies_are_whole_or_refused():
    ring = till.pack_ring(1, ((2, 3),) * 16)
    state = till.State(1, 2, 3, 4, 5, 6, 7, 8, 0)
    for unpack, body, whole in (
        (till.unpack_ring, ring, (1, ((2, 3),) * 16)),
        (till.unpack_verdict, till.pack_verdict(till.Verdict(1, 2, 3, 4)), till.Verdict(1, 2, 3, 4)),
        (till.unpack_state, till.pack_state(state), state),
        (till.unpack_void, till.pack_void(9), 9),
        (till.unpack_voided, till.pack_voided(9, 10), (9, 10)),
    ):
        assert unpack(body) == whole
        for size in range(len(body)):
            assert code_of(unpack, body[:size]) == WIRE_BODY
        assert code_of(unpack, body + b"\0") == WIRE_BODY
    assert code_of(till.pack_ring, 1, ((2, 3),) * 17) == BASKET_ITEMS
    assert code_of(till.unpack_ring, ring[:4] + b"\x11" + ring[5:] + bytes(4)) == WIRE_BODY
    # The longest message fits.
    assert code_of(pair()[0].seal, till.RING, ring) == OK
    assert code_of(pair()[0].seal, till.RING, bytes(till.PACKET_MAX)) == WIRE_LENGTH


def test_talk_does_not_print_its_keys():
    assert repr(pair()[0]) == "Talk()"
