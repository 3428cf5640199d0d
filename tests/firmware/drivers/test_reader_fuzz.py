"""Random and mutated bytes into everything that decodes what a reader says: no crash, no hang, no wrong card.

KLASSKART_FUZZ=1000000 pytest tests/firmware/drivers/test_reader_fuzz.py is the long run.
"""

import os
import random

from firmware.drivers.iso14443 import ANSWERED, DAMAGED, SILENT, select
from firmware.drivers.isodep import IsoDep
from firmware.drivers.pn532 import FRAME_MAX, Pn532
from firmware.drivers.pn532_serial import SerialFrames
from firmware.hal.chip import CARD
from protocols.card import osdp, wiegand
from protocols.errors import Fault
from tests.firmware.drivers.readers.field import crc_a, levels_of
from tests.firmware.drivers.readers.rig import UID4, UID7, UID10, Bench
from tests.protocols.card.test_osdp import opened

COUNT = int(os.environ.get("KLASSKART_FUZZ", "3000"))


def mutated(source, data):
    """The data with a few bytes changed, cut off or put in."""
    data = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 5))):
        what = source.randrange(4)
        place = source.randrange(len(data) + 1)
        if what == 0 and place < len(data):
            data[place] ^= 1 << source.randrange(8)
        elif what == 1 and place < len(data):
            data[place] = source.randrange(256)
        elif what == 2:
            del data[place : place + source.randrange(1, 4)]
        else:
            data[place:place] = source.randbytes(source.randrange(1, 4))
    return bytes(data)


def test_osdp_packets():
    source = random.Random(1)
    true = osdp.pack(0x85, 2, osdp.RAW, b"\x00\x01\x1a\x00\xea\x0d\xc0\x80")
    found = 0
    for number in range(COUNT):
        data = source.randbytes(source.randrange(40)) if number % 3 == 0 else mutated(source, true)
        try:
            end, packet = osdp.find(data, len(data), 5)
        except Fault:
            continue
        assert 0 <= end <= len(data)
        if packet is not None and true not in data:
            found += 1
    # 16 bits of crc let one of 65,536 through; the channel's MAC is what makes a card.
    assert found <= 3 + COUNT // 10_000


def test_osdp_channel():
    source = random.Random(2)
    for number in range(COUNT // 10 + 1):
        channel, reader = opened()
        reader.events.append((osdp.RAW, b"\x00\x01\x1a\x00\xea\x0d\xc0\x80"))
        true = reader.hear(channel.seal(0, 3, osdp.POLL))[:-2]
        wrong = mutated(source, true)
        if wrong == true:
            continue
        try:
            packet = osdp.Packet(wrong) if len(wrong) > 5 else None
            data = channel.open(packet) if packet else None
        except Fault:
            continue
        assert data is None, (number, wrong)


def test_wiegand_frames():
    source = random.Random(3)
    for _ in range(COUNT):
        length = source.randrange(0, 64)
        frame = source.getrandbits(length) if length else 0
        try:
            credential = wiegand.credential_of(frame, length)
        except Fault:
            continue
        assert wiegand.frame_of(credential) == (frame, length)


class Air:
    """A field that answers with what a test says; keeps Air of iso14443.py."""

    def __init__(self, answers):
        self.answers = answers
        self.reply = memoryview(bytearray(64))
        self.length = 0
        self.exchanges = 0

    def exchange(self, frame, has_checksum, wait_ticks):
        yield 1
        self.exchanges += 1
        assert self.exchanges < 500, "this never ends"
        answer = self.answers(bytes(frame))
        if answer is None:
            return SILENT
        if has_checksum:
            if len(answer) < 3 or crc_a(answer[:-2]) != answer[-2:]:
                return DAMAGED
            answer = answer[:-2]
        answer = answer[:64]
        self.reply[: len(answer)] = answer
        self.length = len(answer)
        return ANSWERED if answer else DAMAGED


def finish(talk):
    """Run a talk of an Air to its end."""
    while True:
        try:
            next(talk)
        except StopIteration as end:
            return end.value


def test_selection():
    source = random.Random(4)
    for _ in range(COUNT):
        uid = source.choice((UID4, UID7, UID10))
        levels = levels_of(uid)

        def answers(frame, levels=levels):
            level = (0x93, 0x95, 0x97).index(frame[0])
            true = levels[min(level, len(levels) - 1)]
            if frame[1] == 0x70:
                sak = bytes((0x04 if level + 1 < len(levels) else 0x08,))
                # A changed answer has a right checksum here: left are the check byte and the cascade.
                sak = mutated(source, sak) if source.random() < 0.2 else sak
                return sak + crc_a(sak)
            return mutated(source, true) if source.random() < 0.3 else true

        status, _frames, read, _sak = finish(select(Air(answers)))
        if status == ANSWERED:
            assert len(read) in (4, 7, 10)
            assert read[0] != 0x88 or len(read) > 4


def test_iso_dep():
    source = random.Random(5)
    for _ in range(COUNT):

        def answers(frame):
            if source.random() < 0.1:
                return None
            if frame[0] == 0xE0:
                told = bytes((6, 0x75, 0x77, 0x81, 0x02, 0x80))
            else:
                told = (
                    bytes((source.choice((0x02, 0x03, 0x12, 0x13, 0xA2, 0xA3, 0xF2, 0xB2)), 1)) + b"\x91\x00"
                )
            if source.random() < 0.3:
                told = mutated(source, told)
            return told + crc_a(told)

        card = IsoDep(Air(answers))
        try:
            finish(card.activate())
            for _ in range(3):
                assert len(finish(card.exchange(source.randbytes(source.randrange(1, 120))))) <= 1200
        except Fault:
            continue


class Mumbler:
    """A PN532 that answers right, wrong, or not."""

    def __init__(self, source):
        self.source = source
        self.waiting = b""

    def write(self, data):
        data = bytes(data)
        if data[:1] == b"\x55":
            return
        ack = b"\x00\x00\xff\x00\xff\x00"
        body = {
            0x14: b"\xd5\x15", 0x02: b"\xd5\x03\x32\x01\x06\x07", 0x32: b"\xd5\x33",
            0x4A: b"\xd5\x4b\x01\x01\x00\x04\x08\x04" + UID4,
        }.get(data[6], b"\xd5\x41\x00")  # fmt: skip
        whole = b"\x00\x00\xff" + bytes((len(body), -len(body) & 0xFF)) + body + bytes((-sum(body) & 0xFF, 0))
        told = ack + whole
        if self.source.random() < 0.3:
            told = mutated(self.source, told)
        self.waiting += told if self.source.random() < 0.95 else b""

    def read_into(self, buffer):
        part, self.waiting = self.waiting[: len(buffer)], self.waiting[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def test_pn532_frames():
    source = random.Random(6)
    stand = Bench(lambda clock: Pn532(SerialFrames(Mumbler(source), FRAME_MAX), clock))
    cards = 0
    for _ in range(COUNT // 20 + 20):
        for result in stand.pass_ms(1000):
            if result == CARD:
                # Two checksums of 8 bits: a change of two bytes that cancel out can pass, once in very many.
                cards += 1
                assert len(stand.chip.credential) in (10, 16, 22)
    assert cards
