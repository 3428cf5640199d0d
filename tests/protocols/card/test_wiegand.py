"""Frames on two wires: count and both parities, in and out."""

from protocols import errors
from protocols.card import wiegand


def refused(frame, length):
    try:
        wiegand.credential_of(frame, length)
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_frames_of_the_standard():
    assert wiegand.frame_of("w26:D41B81") == (0b1_11010100_0001101110000001_0, 26)
    frame, length = wiegand.frame_of("w34:89D41B81")
    assert length == 34
    assert frame >> 1 & 0xFFFFFFFF == 0x89D41B81
    assert wiegand.credential_of(frame, length) == "w34:89D41B81"


def test_37_bits_share_the_middle_one():
    # Facility 1, card 1: the facility's last bit is payload bit 16, under the even parity alone.
    frame, length = wiegand.frame_of("w37:%09X" % (1 << 19 | 1))
    assert length == 37
    bits = [frame >> (36 - place) & 1 for place in range(37)]
    assert sum(bits[:19]) % 2 == 0
    assert sum(bits[18:]) % 2 == 1


def test_every_single_wrong_bit_is_seen():
    for text in ("w26:D41B81", "w34:89D41B81", "w37:123456789"):
        frame, length = wiegand.frame_of(text)
        assert wiegand.credential_of(frame, length) == text
        # A bit under both parities of 37 turns both: seen as well.
        for place in range(length):
            assert refused(frame ^ 1 << place, length) == errors.BAD_CREDENTIAL


def test_other_lengths_are_refused():
    for length in (0, 1, 25, 27, 32, 33, 35, 36, 38, 64):
        assert refused(0, length) == errors.BAD_CREDENTIAL
    assert refused(1 << 26, 26) == errors.BAD_CREDENTIAL


def test_raw_bits_of_a_known_frame_are_the_same_card():
    frame, _length = wiegand.frame_of("w26:D41B81")
    data = (frame << 6).to_bytes(4, "big")
    assert wiegand.of_raw_bits(26, data) == "w26:D41B81"
    assert wiegand.of_raw_bits(35, bytes.fromhex("1234567820")) == "osdp:35:1234567820"
    for bits, data in ((0, b""), (26, b"\0\0\0"), (35, bytes.fromhex("1234567821"))):
        try:
            wiegand.of_raw_bits(bits, data)
        except errors.Fault as fault:
            assert fault.code == errors.BAD_CREDENTIAL
        else:
            raise AssertionError(bits)
