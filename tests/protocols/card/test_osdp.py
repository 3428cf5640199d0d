"""OSDP packets and the secure channel, by the examples of the standard's annex E."""

from protocols import errors
from protocols.card import osdp
from tests.protocols.card.virtual_reader import VirtualReader

OURS, THEIRS = bytes(range(0xB0, 0xB8)), bytes(range(0xA0, 0xA8))


def fault_of(work):
    try:
        work()
    except errors.Fault as fault:
        return fault.code
    return 0


def test_crc_is_that_of_the_standard():
    for packet, crc in (("537F0D00046E0080250000", "6E38"), ("53000900046100", "C066")):
        whole = bytes.fromhex(packet)
        made = osdp.crc16(whole, len(whole))
        assert bytes((made & 0xFF, made >> 8)) == bytes.fromhex(crc)
    assert osdp.pack(0, 0, osdp.ID, b"\0") == bytes.fromhex("53000900046100C066")
    assert osdp.pack(0x7F, 0, 0x6E, b"\x00\x80\x25\x00\x00") == bytes.fromhex("537F0D00046E00802500006E38")


def test_channel_opens_as_in_the_standard():
    channel = osdp.Channel(osdp.MAKERS_KEY, OURS)
    asked = channel.challenge(0, 1)
    assert asked[5:8] == b"\x03\x11\x00"
    assert asked[8:17] == b"\x76" + OURS
    client = bytes.fromhex("FDE5D2F428EC16312471EA3C02BD7796")
    data = bytes(8) + THEIRS + client
    _end, packet = osdp.find(*found(osdp.pack(0x80, 1, osdp.CHALLENGED, data, b"\x03\x12\x00")), 0)
    answer = channel.answer(packet, 0, 2)
    assert answer[5:25] == b"\x03\x13\x00\x77" + bytes.fromhex("26D3356E07762D262801FC8E6665A891")
    opening = bytes.fromhex("B2A30057EB98BA2229EC1F875662B524")
    _end, packet = osdp.find(*found(osdp.pack(0x80, 2, osdp.OPENED, opening, b"\x03\x14\x01")), 0)
    channel.opened(packet)


def found(data):
    return data, len(data)


def test_packet_is_found_in_rubbish_and_in_pieces():
    whole = osdp.pack(0x85, 2, osdp.ACK)
    for ahead in (b"", b"\xff\xff", b"\x53", b"\x53\x05\x00", b"\x53\xff\xff\xff\xff\xff"):
        line = ahead + whole
        for count in range(len(line)):
            end, packet = osdp.find(line, count, 5)
            assert packet is None
            assert end <= len(ahead), (ahead, count)
        end, packet = osdp.find(line + b"rest", len(line) + 4, 5)
        assert (packet.code, packet.sequence, packet.data, packet.block) == (osdp.ACK, 2, b"", b"")
        assert end == len(line)


def test_no_damaged_packet_is_found():
    whole = osdp.pack(0x85, 2, osdp.RAW, b"\x00\x01\x1a\x00\x12\x34\x56\x78")
    for place in range(len(whole)):
        for bit in range(8):
            wrong = bytearray(whole)
            wrong[place] ^= 1 << bit
            assert osdp.find(wrong, len(wrong), 5)[1] is None, (place, bit)
    assert osdp.find(whole, len(whole), 6)[1] is None


def test_block_that_does_not_fit_is_a_fault():
    for body in (b"\x00\x40", b"\x01\x40", b"\x05\x40", b"\xff\x40"):
        head = b"\x53\x80" + bytes((7 + len(body), 0, 0x0C))
        crc = osdp.crc16(head + body, 5 + len(body))
        whole = head + body + bytes((crc & 0xFF, crc >> 8))
        assert fault_of(lambda whole=whole: osdp.find(whole, len(whole), 0)) == errors.READER_NOISE, body


def opened(key=bytes(range(16))):
    """(channel, reader) that trust one another; the reader is of the tests, by the standard alone."""
    reader = VirtualReader(key)
    channel = osdp.Channel(key, OURS)
    reply = osdp.find(*found(reader.hear(channel.challenge(0, 1))), 0)[1]
    reply = osdp.find(*found(reader.hear(channel.answer(reply, 0, 2))), 0)[1]
    channel.opened(reply)
    return channel, reader


def told(channel, reader, sequence):
    packet = osdp.find(*found(reader.hear(channel.seal(0, sequence, osdp.POLL))), 0)[1]
    return packet.code, channel.open(packet)


def test_cards_come_through_a_channel():
    channel, reader = opened()
    for number in range(40):
        assert told(channel, reader, number % 3 + 1) == (osdp.ACK, b"")
        data = b"\x00\x01" + bytes((number, 0)) + bytes(range(number))
        reader.events.append((osdp.RAW, data))
        assert told(channel, reader, number % 3 + 1) == (osdp.RAW, data)


def test_orders_with_data_are_read_by_the_reader():
    channel, reader = opened()
    for size in range(1, 40):
        channel.open(osdp.find(*found(reader.hear(channel.seal(0, size % 3 + 1, 0x69, bytes(size)))), 0)[1])
        assert reader.orders[-1] == (0x69, bytes(size))


def test_reply_in_clear_changed_or_said_again_is_untrusted():
    def reply_of(event):
        channel, reader = opened()
        reader.events.append(event)
        return channel, reader.hear(channel.seal(0, 3, osdp.POLL))

    event = (osdp.RAW, b"\x00\x01\x1a\x00\x12\x34\x56\x78")
    channel, whole = reply_of(event)
    clear = osdp.pack(0x80, 3, *event)
    assert fault_of(lambda: channel.open(osdp.Packet(clear[:-2]))) == errors.READER_UNTRUSTED
    for place in range(5, len(whole) - 2):
        wrong = bytearray(whole[:-2])
        wrong[place] ^= 0x01
        code = fault_of(lambda wrong=wrong: channel.open(osdp.Packet(bytes(wrong))))
        assert code in (errors.READER_UNTRUSTED, errors.READER_NOISE), place
    packet = osdp.Packet(whole[:-2])
    assert channel.open(packet) == event[1]
    channel.seal(0, 1, osdp.POLL)
    assert fault_of(lambda: channel.open(packet)) == errors.READER_UNTRUSTED


def test_reader_with_another_key_is_untrusted():
    reader = VirtualReader(bytes(range(1, 17)))
    channel = osdp.Channel(bytes(range(16)), OURS)
    reply = osdp.find(*found(reader.hear(channel.challenge(0, 1))), 0)[1]
    assert fault_of(lambda: channel.answer(reply, 0, 2)) == errors.READER_UNTRUSTED


def test_reader_that_offers_the_makers_key_is_untrusted():
    reader = VirtualReader(osdp.MAKERS_KEY)
    channel = osdp.Channel(bytes(range(16)), OURS)
    reply = osdp.find(*found(reader.hear(channel.challenge(0, 1))), 0)[1]
    assert fault_of(lambda: channel.answer(reply, 0, 2)) == errors.READER_UNTRUSTED
