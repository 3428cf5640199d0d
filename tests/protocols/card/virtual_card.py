"""What every virtual card has: power, frames, wrapping, applications with keys, three authentications.

Promises: a card can be pulled away before any command; a refusal ends the session, as on a real card.
Leaves the commands of a kind to its own file.
"""

from protocols.card import aes, cmac, des
from tests.protocols.card.virtual_sessions import LENGTH, OK, ZERO, Ev1Session, Ev2Session, Refused

MORE = 0xAF
ILLEGAL, NO_KEY, REFUSED, ABORTED = 0x1C, 0x40, 0xAE, 0xCA
DENIED = 0x9D
FRAME = 59


class Pulled(Exception):
    """The card is no longer in the field."""


def turned(block):
    return bytes(block[1:]) + bytes(block[:1])


class Key:
    """`kind`: "aes" or "des"; 16 bytes; a version."""

    def __init__(self, kind="aes", value=ZERO, version=0):
        self.kind = kind
        self.value = value
        self.version = version


class Application:
    def __init__(self, settings, keys):
        self.settings = settings
        self.keys = keys
        self.files = {}


class VirtualCard:
    """`reply(command)` takes and gives native commands, `apdu(apdu)` their ISO wrapping."""

    def __init__(self, uid, random_bytes, is_ev1=False):
        self.uid = uid
        self.is_ev1 = is_ev1
        self.random_bytes = random_bytes
        self.applications = {b"\0\0\0": Application(0x0F, [Key("des")])}
        self.left = None
        """Commands until somebody pulls the card away, or None."""
        self.commands = 0
        self.log = []
        self.reset()

    def reset(self):
        """Power goes: nothing is selected, no session."""
        self.selected = b"\0\0\0"
        self.session = None
        self.number = -1
        self._waiting = None
        self._rest = b""

    @property
    def application(self):
        return self.applications[self.selected]

    def apdu(self, apdu):
        """One APDU; what is no wrapped native command gets 6A 86 or another status of ISO 7816-4."""
        if len(apdu) < 5 or apdu[0] != 0x90:
            return b"\x6e\x00"
        if apdu[2] or apdu[3]:
            return b"\x6a\x86"
        body = b""
        if len(apdu) > 5:
            if len(apdu) != 6 + apdu[4]:
                return b"\x67\x00"
            body = apdu[5:-1]
        answer = self.reply(bytes(apdu[1:2]) + bytes(body))
        return answer[1:] + b"\x91" + answer[:1]

    def reply(self, command):
        """One native command."""
        if self.left is not None:
            if not self.left:
                self.reset()
                raise Pulled()
            self.left -= 1
        self.commands += 1
        self.log.append(bytes(command))
        try:
            return self._reply(command[0], bytes(command[1:]))
        except Refused as refused:
            self.session = None
            self.number = -1
            self._waiting = None
            self._rest = b""
            return bytes((refused.status,))

    def _reply(self, code, body):
        if code == MORE:
            if self._rest:
                return self._frame(self._rest)
            if self._waiting is None:
                raise Refused(ABORTED)
            work, self._waiting = self._waiting, None
            return work(body)
        self._waiting = None
        self._rest = b""
        work = self.handlers().get(code)
        if work is None:
            raise Refused(ILLEGAL)
        return work(code, body)

    def _frame(self, data):
        part, self._rest = data[:FRAME], data[FRAME:]
        return bytes((MORE if self._rest else OK,)) + part

    def _answer(self, data=b"", mode=1):
        if self.session is not None:
            data = self.session.give(data, mode)
        return self._frame(data)

    def _command(self, code, header, body=b"", mode=1):
        """The plain data of a command in the session, if there is one."""
        if self.session is None:
            return body
        return self.session.take(code, header, body, mode)

    def _split(self, code, body, size, mode=1):
        """A command that is all header: exactly `size` bytes, its MAC behind it in EV2."""
        header, rest = body[:size], body[size:]
        if len(header) != size:
            raise Refused(LENGTH)
        if self._command(code, header, rest, mode):
            raise Refused(LENGTH)
        return header

    def _need_key(self, *numbers):
        if 0xE in numbers:
            return
        if self.number not in numbers or self.session is None:
            raise Refused(REFUSED if self.session is None else DENIED)

    def handlers(self):
        """The commands of this kind of card: code to a function of code and body."""
        return {}

    # Authentication

    def _key(self, number, kind):
        keys = self.application.keys
        if number >= len(keys):
            raise Refused(NO_KEY)
        if keys[number].kind != kind:
            raise Refused(REFUSED)
        self.session = None
        self.number = -1
        return keys[number].value

    def _ev1_begin(self, code, body):
        if len(body) != 1:
            raise Refused(LENGTH)
        number, key = body[0], self._key(body[0], "aes")
        mine = self.random_bytes(16)
        sealed = aes.encrypt(key, ZERO, mine)

        def end(proof):
            if len(proof) != 32:
                raise Refused(LENGTH)
            plain = aes.decrypt(key, sealed, proof)
            theirs = plain[:16]
            if plain[16:] != turned(mine):
                raise Refused(REFUSED)
            self.session = Ev1Session(theirs[:4] + mine[:4] + theirs[12:] + mine[12:])
            self.number = number
            return bytes((OK,)) + aes.encrypt(key, proof[-16:], turned(theirs))

        self._waiting = end
        return bytes((MORE,)) + sealed

    def _ev2_begin(self, number, finish):
        key = self._key(number, "aes")
        mine = self.random_bytes(16)

        def end(proof):
            if len(proof) != 32:
                raise Refused(LENGTH)
            plain = aes.decrypt(key, ZERO, proof)
            theirs = plain[:16]
            if plain[16:] != turned(mine):
                raise Refused(REFUSED)
            mixed = bytes(theirs[2 + place] ^ mine[place] for place in range(6))
            context = theirs[:2] + mixed + mine[6:] + theirs[8:]
            encryption = cmac.cmac(key, b"\xa5\x5a\x00\x01\x00\x80" + context)
            mac = cmac.cmac(key, b"\x5a\xa5\x00\x01\x00\x80" + context)
            self.number = number
            return bytes((OK,)) + aes.encrypt(key, ZERO, finish(encryption, mac, turned(theirs)))

        self._waiting = end
        return bytes((MORE,)) + aes.encrypt(key, ZERO, mine)

    def _ev2_first(self, code, body):
        if len(body) < 2 or len(body) != 2 + body[1]:
            raise Refused(LENGTH)

        def finish(encryption, mac, proof):
            transaction = self.random_bytes(4)
            self.session = Ev2Session(encryption, mac, transaction)
            return transaction + proof + bytes(12)

        return self._ev2_begin(body[0], finish)

    def _ev2_next(self, code, body):
        before = self.session
        if len(body) != 1:
            raise Refused(LENGTH)
        if not isinstance(before, Ev2Session):
            raise Refused(REFUSED)

        def finish(encryption, mac, proof):
            self.session = Ev2Session(encryption, mac, before.transaction, before.counter)
            return proof

        return self._ev2_begin(body[0], finish)

    def _iso_begin(self, code, body):
        if len(body) != 1:
            raise Refused(LENGTH)
        number, key = body[0], self._key(body[0], "des")
        mine = self.random_bytes(8)
        sealed = des.encrypt(key, bytes(8), mine)

        def end(proof):
            if len(proof) != 16:
                raise Refused(LENGTH)
            plain = des.decrypt(key, sealed, proof)
            if plain[8:] != turned(mine):
                raise Refused(REFUSED)
            self.session = ("des", (plain[:4] + mine[:4]) * 2)
            self.number = number
            return bytes((OK,)) + des.encrypt(key, proof[-8:], turned(plain[:8]))

        self._waiting = end
        return bytes((MORE,)) + sealed


def randoms(start=0):
    """Different bytes at each call, the same in each run."""
    state = [start * 2654435761 % 2**32 or 1]

    def draw(count):
        made = bytearray()
        for _ in range(count):
            state[0] = (state[0] * 1664525 + 1013904223) & 0xFFFFFFFF
            made.append(state[0] >> 24)
        return bytes(made)

    return draw
