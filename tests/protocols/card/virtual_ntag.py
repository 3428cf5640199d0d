"""An NTAG 424 DNA as its data sheet describes it: one application, five keys, a SUN message at each tap.

Promises and limits as of the DESFire card beside it, from which it takes sessions and keys.
"""

from protocols.card import aes, cmac
from tests.protocols.card.virtual_card import NO_KEY, REFUSED, Application, Key
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_sessions import LENGTH, Ev2Session, Refused

NAME = b"\xd2\x76\x00\x00\x85\x01\x01"


class VirtualNtag(VirtualDesfire):
    """`reply` and `apdu` as of the DESFire card; `sun()` makes the next message."""

    def __init__(self, uid, random_bytes):
        super().__init__(uid, random_bytes)
        self.applications = {b"": Application(0, []), NAME: Application(0, [Key() for _ in range(5)])}
        self.counter = 0
        self.reset()

    def reset(self):
        super().reset()
        self.selected = b""

    def apdu(self, apdu):
        """ISOSelectFile by name, or a wrapped native command."""
        if bytes(apdu[:4]) == b"\x00\xa4\x04\x00":
            self._take_place()
            name = bytes(apdu[5 : 5 + apdu[4]])
            if name != NAME:
                return b"\x6a\x82"
            self.session = None
            self.number = -1
            self.selected = NAME
            return b"\x90\x00"
        return super().apdu(apdu)

    def _take_place(self):
        """Count a command that is no native one; the card may be pulled away before it."""
        if self.left == 0:
            self.reply(b"\x00")
        if self.left is not None:
            self.left -= 1
        self.commands += 1

    def _reply(self, code, body):
        if code in (0x5A, 0x6A, 0xCA, 0xDA, 0xFC, 0xAA, 0x1A, 0xBD, 0x3D, 0xCD):
            raise Refused(0x1C)
        if code == 0x51:
            return self._card_uid(code, body)
        return super()._reply(code, body)

    def _version(self, code, body):
        first = super()._version(code, body)
        return first[:2] + b"\x04\x02\x30" + first[5:]

    def _card_uid(self, code, body):
        self._split(code, body, 0, 3)
        if not isinstance(self.session, Ev2Session):
            raise Refused(REFUSED)
        return self._answer(self.uid, 3)

    def _key(self, number, kind):
        if self.selected != NAME:
            raise Refused(NO_KEY)
        return super()._key(number, kind)

    def _change_key(self, code, body):
        if body and body[0] > 4:
            raise Refused(NO_KEY)
        if not body:
            raise Refused(LENGTH)
        return super()._change_key(code, body)

    def sun(self, meta_number=4, file_number=3):
        """(encrypted PICCData, MAC) that a phone reads at the next tap."""
        self.counter += 1
        keys = self.applications[NAME].keys
        counter = self.counter.to_bytes(3, "little")
        plain = b"\xc7" + self.uid + counter + self.random_bytes(5)
        sealed = aes.encrypt(keys[meta_number].value, bytes(16), plain)
        vector = b"\x3c\xc3\x00\x01\x00\x80" + self.uid + counter
        session = cmac.cmac(keys[file_number].value, vector + bytes(-len(vector) % 16))
        return sealed, cmac.truncated(cmac.cmac(session, b""))
