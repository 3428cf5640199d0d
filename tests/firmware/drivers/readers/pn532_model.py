"""A PN532 command by command, from its user manual, on SPI and on a serial line; the cards are a Crowd.

The chip finds and selects cards and speaks ISO-DEP by itself: `Pn532Core` does, and both lines are thin.  A
frame that a host must not send ends the test.  Both interpreters.
"""

from tests.firmware.drivers.readers.field import READY, crc_a, levels_of

ACK = b"\x00\x00\xff\x00\xff\x00"
ERROR = b"\x00\x00\xff\x01\xff\x7f\x81\x00"


def turned(value):
    """A byte with its bits the other way round."""
    made = 0
    for place in range(8):
        made |= (value >> place & 1) << (7 - place)
    return made


class Pn532Core:
    """`out`: (moment, bytes) of what the chip has to say.

    `is_dead`: nothing drives its wires; `is_mute`: it takes no frame; `garble`: what becomes of its answers.
    """

    def __init__(self, crowd, clock):
        self.crowd = crowd
        self.clock = clock
        self.is_dead = False
        self.is_mute = False
        self.garble = None
        self.commands = []
        self.power_on()

    def power_on(self):
        """Power was away: the chip sleeps and has forgotten everything."""
        self.out = []
        self.is_awake = False
        self.is_set_up = False
        self.retries = 0xFF
        self.targets = []
        self.crowd.switch(False)

    def set(self, is_on):
        """RSTPD_N, as hal/bus.Switch."""
        if not is_on:
            self.power_on()

    def take(self, frame):
        """A frame from the host."""
        if self.is_dead or self.is_mute or not self.is_awake:
            return
        assert frame[:3] == b"\x00\x00\xff", frame
        size = frame[3]
        assert (size + frame[4]) & 0xFF == 0, "length checksum"
        assert len(frame) == size + 7, "length"
        assert sum(frame[5 : 6 + size]) & 0xFF == 0, "data checksum"
        assert frame[5] == 0xD4, "direction"
        now = self.clock.ticks()
        # A command ends what was still to be said (6.2.1.3).
        self.out = [(now + 1, ACK)]
        answer, took_ms = self.obey(frame[6], bytes(frame[7 : 5 + size]))
        whole = ERROR
        if answer is not None:
            body = bytes((0xD5, frame[6] + 1)) + answer
            whole = b"\x00\x00\xff" + bytes((len(body), -len(body) & 0xFF)) + body
            whole += bytes((-sum(body) & 0xFF, 0))
        if self.garble is not None:
            whole = self.garble(whole)
        if whole is not None:
            self.out.append((now + 1 + took_ms, whole))

    def obey(self, command, body):
        """(answer, milliseconds) of one command."""
        self.commands.append(command)
        if command == 0x02:
            return b"\x32\x01\x06\x07", 1
        if command == 0x14:
            self.is_set_up = True
            return b"", 1
        if not self.is_set_up:
            return None, 1
        if command == 0x32:
            if body[0] == 0x01:
                self.crowd.switch(bool(body[1] & 1))
                self.targets = []
            elif body[0] == 0x05:
                self.retries = body[3]
            return b"", 1
        if command == 0x4A:
            assert self.retries != 0xFF, "the chip would wait for a card for ever"
            return self._list(body[0], body[1])
        if command == 0x40:
            return self._exchange(body[0], body[1:])
        return None, 1

    def _list(self, most, kind):
        assert (kind, most in (1, 2)) == (0, True)
        self.crowd.switch(True)
        self.targets = []
        told = b""
        for number in range(1, most + 1):
            found = self._find()
            if found is None:
                break
            atqa, uid, sak, ats = found
            told += bytes((number, atqa[1], atqa[0], sak, len(uid))) + uid + ats
            self.targets.append(uid)
        return bytes((len(self.targets),)) + told, 5 + 10 * len(self.targets)

    def _find(self):
        atqa = self.crowd.hear(b"\x26", 7)
        if atqa is None or len(atqa[0]) != 2:
            return None
        chosen = self._chosen()
        if chosen is None:
            return None
        sak = 0x04
        for level, part in enumerate(levels_of(chosen)):
            frame = bytes(((0x93, 0x95, 0x97)[level], 0x70)) + part
            answer = self.crowd.hear(frame + crc_a(frame), 0)
            if answer is None or crc_a(answer[0][:1]) != answer[0][1:]:
                return None
            sak = answer[0][0]
        ats = b""
        if sak & 0x20:
            answer = self.crowd.hear(b"\xe0\x50" + crc_a(b"\xe0\x50"), 0)
            if answer is None:
                return None
            ats = answer[0][:-2]
        else:
            self.crowd.hear(b"\x50\x00" + crc_a(b"\x50\x00"), 0)
        self.number = 0
        return atqa[0], chosen, sak, ats

    def _chosen(self):
        """The number that the chip's anticollision ends with: of the strongest, the one with the first 1."""
        ready = [card for card in self.crowd.cards if card.state == READY]
        if not ready:
            return None
        strongest = max(card.strength for card in ready)
        return max(card.uid for card in ready if card.strength == strongest)

    def _exchange(self, number, apdu):
        if number > len(self.targets) or not number:
            return b"\x27", 1
        room, place = 61, 0
        while True:
            part = apdu[place : place + room]
            place += len(part)
            chained = 0x10 if place < len(apdu) else 0
            told = self._block(bytes((0x02 | chained | self.number,)) + part)
            if isinstance(told, int):
                return bytes((told,)), 50
            if not chained:
                break
        answer = told[1:]
        while told[0] & 0x10:
            told = self._block(bytes((0xA2 | self.number,)))
            if isinstance(told, int):
                return bytes((told,)), 50
            answer += told[1:]
        return b"\x00" + answer, 10

    def _block(self, block):
        """The card's block, or an error code of 7.1."""
        sent, wrong = block, 0x01
        for _ in range(4):
            for _ in range(100):
                heard = self.crowd.hear(sent + crc_a(sent), 0)
                if heard is None or heard[0][0] != 0xF2:
                    break
                sent = heard[0][:2]
            if heard is not None and crc_a(heard[0][:-2]) == heard[0][-2:]:
                told = heard[0][:-2]
                if told[0] == 0xF2:
                    return 0x0B
                if told[0] & 1 == self.number:
                    self.number ^= 1
                    return told
                sent = block
                continue
            wrong = 0x01 if heard is None else 0x02
            sent = block if block[0] & 0xF6 == 0xA2 else bytes((0xB2 | self.number,))
        return wrong

    def pop(self):
        """What the chip says now, or None."""
        if self.out and self.clock.ticks() >= self.out[0][0] and not self.is_dead:
            return self.out.pop(0)[1]
        return None


class SpiModel(Pn532Core):
    """Keeps hal/bus.Spi: highest bit first on the wire, while the chip wants the lowest."""

    floating = 0x00
    transactions = 0
    bytes = 0

    def exchange(self, outgoing, incoming):
        """One transaction."""
        assert len(outgoing) == len(incoming) >= 2
        self.transactions += 1
        self.bytes += len(outgoing)
        self.is_awake = True
        told = bytes(turned(value) for value in bytes(outgoing))
        for place in range(len(incoming)):
            incoming[place] = self.floating if self.is_dead else 0
        if self.is_dead:
            return
        if told[0] == 0x02:
            is_ready = self.out and self.clock.ticks() >= self.out[0][0]
            incoming[1] = turned(1 if is_ready else 0)
        elif told[0] == 0x01:
            self.take(told[1:])
        else:
            assert told[0] == 0x03, told[0]
            said = self.pop()
            assert said is not None, "read before ready"
            for place in range(min(len(said), len(incoming) - 1)):
                incoming[place + 1] = turned(said[place])


class SerialModel(Pn532Core):
    """Keeps hal/bus.Serial; what is said arrives `piece` bytes at a time."""

    piece = 5
    transactions = 0
    bytes = 0

    def power_on(self):
        super().power_on()
        self.line = b""

    def write(self, data):
        """Bytes from the host."""
        self.transactions += 1
        self.bytes += len(data)
        data = bytes(data)
        if data[:1] == b"\x55":
            self.is_awake = True
            return
        self.line = b""
        self.take(data)

    def read_into(self, buffer):
        """Bytes to the host."""
        said = self.pop()
        if said is not None:
            self.line += said
        part, self.line = self.line[: min(self.piece, len(buffer))], self.line[min(self.piece, len(buffer)) :]
        for place, value in enumerate(part):
            buffer[place] = value
        self.bytes += len(part)
        return len(part)
