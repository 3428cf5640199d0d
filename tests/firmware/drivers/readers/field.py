"""The field of an antenna and the cards in it, from the cards' side, bit by bit where cards may collide.

Written from ISO 14443-3 and -4 with nothing of the drivers in it.  A card obeys its states (idle, ready,
active, halt, protocol) also where a reader does something wrong; `Crowd` lays the answers of all over one
another, as the air does.  Both interpreters.
"""

from tests.protocols.card.virtual_card import Pulled

IDLE, READY, ACTIVE, HALT, PROTOCOL = "idle", "ready", "active", "halt", "protocol"


def crc_a(data):
    """The two bytes behind a frame, by the polynomial bit by bit."""
    made = 0x6363
    for value in data:
        made ^= value
        for _ in range(8):
            made = made >> 1 ^ 0x8408 if made & 1 else made >> 1
    return bytes((made & 0xFF, made >> 8))


def levels_of(uid):
    """The four bytes and the check byte of each cascade level."""
    parts = {4: (uid,), 7: (b"\x88" + uid[:3], uid[3:]), 10: (b"\x88" + uid[:3], b"\x88" + uid[3:6], uid[6:])}
    return [part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],)) for part in parts[len(uid)]]


class TypeA:
    """One card.  `applications`: something with apdu() behind ISO-DEP, or None.

    `strength`: a stronger card drowns a weaker one's answer.  `left`: frames until it is pulled away.
    `deaf_to`: the one frame that it does not hear.
    `delays`: how often it asks for more time at each APDU; `spoil(place, answer)`: makes an answer wrong.
    """

    def __init__(self, uid, applications=None, sak=None, strength=1, size=5):
        self.uid = bytes(uid)
        self.applications = applications
        self.sak = sak if sak is not None else (0x20 if applications is not None else 0x08)
        self.strength = strength
        self.left = None
        self.deaf_to = None
        self.delays = 0
        self.spoil = None
        self.size = size
        self.frames = 0
        self.ats = bytes((6, 0x70 | size, 0x77, 0x81, 0x02, 0x80))
        self.reset()

    def reset(self):
        """The field goes."""
        self.state = IDLE
        self.level = 0
        self.was_halted = False
        if self.applications is not None:
            self.applications.reset()

    def hear(self, data, last_bits):
        """The answer to one frame as (bytes, whether a checksum belongs behind it), or None."""
        if self.left is not None:
            if not self.left:
                self.reset()
                return None
            self.left -= 1
        self.frames += 1
        if self.frames == self.deaf_to:
            return None
        answer = self._hear(data, last_bits)
        if answer is not None and self.spoil is not None:
            answer = self.spoil(self.frames, answer)
        return answer

    def _hear(self, data, last_bits):
        if last_bits == 7 and len(data) == 1:
            return self._called(data[0])
        if self.state == PROTOCOL:
            return self._block(data)
        if self.state in (READY, ACTIVE) and last_bits == 0:
            answer = self._selecting(data) if self.state == READY else self._active(data)
            if answer is not False:
                return answer
        if self.state in (READY, ACTIVE):
            # Anything else: back without a word (6.4.1).
            self.state = HALT if self.was_halted else IDLE
        return None

    def _called(self, command):
        if self.state == PROTOCOL:
            return None
        if self.state in (READY, ACTIVE):
            self.state = HALT if self.was_halted else IDLE
            return None
        if command == 0x52 or (command == 0x26 and self.state == IDLE):
            self.was_halted = self.state == HALT
            self.state = READY
            self.level = 0
            size = {4: 0x00, 7: 0x40, 10: 0x80}[len(self.uid)]
            return bytes((size | 0x04, 0x00 if len(self.uid) == 4 else 0x03)), False
        return None

    def _selecting(self, data):
        levels = levels_of(self.uid)
        if data[0] != (0x93, 0x95, 0x97)[self.level]:
            return False
        if data[1] == 0x20 and len(data) == 2:
            return levels[self.level], False
        if (
            data[1] != 0x70
            or len(data) != 9
            or crc_a(data[:7]) != data[7:]
            or data[2:7] != levels[self.level]
        ):
            return False
        self.level += 1
        if self.level < len(levels):
            return bytes((0x04,)), True
        self.state = ACTIVE
        return bytes((self.sak,)), True

    def _active(self, data):
        if crc_a(data[:-2]) != data[-2:]:
            return False
        if data[:2] == b"\x50\x00" and len(data) == 4:
            self.state = HALT
            return None
        if data[0] == 0xE0 and self.sak & 0x20:
            self.state = PROTOCOL
            self.frame_max = (16, 24, 32, 40, 48, 64)[data[1] >> 4]
            self.number = 1
            self.command = b""
            self.answer = b""
            self.last = None
            self.waits = 0
            return self.ats, True
        return False

    # ISO 14443-4

    def _block(self, data):
        if len(data) < 3 or crc_a(data[:-2]) != data[-2:]:
            return None
        if len(data) > (16, 24, 32, 40, 48, 64)[self.size]:
            return None
        kind, body = data[0], data[1:-2]
        if kind == 0xC2:
            self.state = HALT
            return b"\xc2", True
        if kind == 0xF2 and self.last is not None and self.last[0] == 0xF2:
            return self._work() if body == self.last[1:] else None
        if kind & 0xE2 == 0x02:
            self.number ^= 1
            self.command += body
            if kind & 0x10:
                return self._say(bytes((0xA2 | self.number,)))
            self.waits = self.delays
            return self._work()
        if kind & 0xE6 == 0xA2:
            if kind & 1 == self.number:
                return (self.last, True) if self.last is not None else None
            if kind & 0x10:
                return bytes((0xA2 | self.number,)), True
            if self.answer:
                self.number ^= 1
                return self._part()
        return None

    def _work(self):
        if self.waits:
            self.waits -= 1
            return self._say(b"\xf2\x02")
        command, self.command = self.command, b""
        try:
            self.answer = self.applications.apdu(command)
        except Pulled:
            self.left = 0
            return None
        return self._part()

    def _part(self):
        room = self.frame_max - 3
        part, self.answer = self.answer[:room], self.answer[room:]
        return self._say(bytes((0x02 | (0x10 if self.answer else 0) | self.number,)) + part)

    def _say(self, block):
        self.last = block
        return block, True


class Crowd:
    """All cards before one antenna.  `noise`: a function from an answer to what arrives of it."""

    def __init__(self, *cards):
        self.cards = list(cards)
        self.is_on = False
        self.noise = None

    def switch(self, is_on):
        """The field itself."""
        if self.is_on and not is_on:
            for card in self.cards:
                card.reset()
        self.is_on = is_on

    def lay(self, card):
        """A card comes into the field."""
        card.reset()
        self.cards.append(card)

    def take(self, card):
        """A card goes."""
        self.cards.remove(card)
        card.reset()

    def hear(self, data, last_bits):
        """(bytes, place of the first collision in bits from 1 or 0) of what arrives, or None."""
        if not self.is_on:
            return None
        told = []
        for card in self.cards:
            answer = card.hear(bytes(data), last_bits)
            if answer is not None:
                whole = answer[0] + crc_a(answer[0]) if answer[1] else answer[0]
                told.append((card.strength, whole))
        if self.noise is not None:
            return self.noise(max(told)[1] if told else None)
        if not told:
            return None
        strongest = max(each[0] for each in told)
        heard = [each[1] for each in told if each[0] == strongest]
        return heard[0], collision(heard)


def collision(heard):
    """The first bit, counted from 1, in which answers differ; 0 for none."""
    size = min(len(each) for each in heard)
    for place in range(size * 8):
        if len({each[place // 8] >> place % 8 & 1 for each in heard}) > 1:
            return place + 1
    return 0
