"""A DESFire EV1 or EV2 card as the data sheet describes it, seen from the card's side.

Promises: every command is checked as a card checks it (selected application, key of the session, rights of
the file, MAC, checksum, counter, length); what a talk leaves undone stays as it was, one command at a time.
`random_bytes` may be handed in, so that published transcripts can be played.  Written for both interpreters;
no code of the product but AES, DES and CMAC.
"""

import struct

from protocols.card import des
from tests.protocols.card.virtual_card import DENIED, MORE, NO_KEY, REFUSED, Application, Key, VirtualCard
from tests.protocols.card.virtual_sessions import INTEGRITY, LENGTH, OK, Ev1Session, Refused, checksum

PARAMETER, NO_APPLICATION, BOUNDARY, DUPLICATE, NO_FILE = 0x9E, 0xA0, 0xBE, 0xDE, 0xF0


class File:
    def __init__(self, mode, access, size):
        self.mode = mode
        self.access = access
        self.data = bytearray(size)

    def keys_for(self, shift):
        """Key numbers of a right: 12 read, 8 write; read-and-write is allowed with both."""
        return (self.access >> shift & 0xF, self.access >> 4 & 0xF)


class VirtualDesfire(VirtualCard):
    """`reply(command)` takes and gives native commands, `apdu(apdu)` their ISO wrapping."""

    def handlers(self):
        made = {
            0x60: self._version,
            0x5A: self._select,
            0x6A: self._application_ids,
            0xCA: self._create_application,
            0xDA: self._delete_application,
            0xFC: self._format,
            0x64: self._key_version,
            0x45: self._key_settings,
            0xC4: self._change_key,
            0x6F: self._file_ids,
            0xF5: self._file_settings,
            0xCD: self._create_file,
            0xBD: self._read,
            0x3D: self._write,
            0xAA: self._ev1_begin,
            0x1A: self._iso_begin,
        }
        if not self.is_ev1:
            made[0x71] = self._ev2_first
            made[0x77] = self._ev2_next
        return made

    # Without a key

    def _version(self, code, body):
        self._split(code, body, 0)
        major = 0x01 if self.is_ev1 else 0x12
        part = bytes((0x04, 0x01, 0x01, major, 0x00, 0x18, 0x05))
        software = bytes((0x04, 0x01, 0x01, 0x01 if self.is_ev1 else 0x02, 0x00, 0x18, 0x05))

        def last(_body):
            return bytes((OK,)) + self.uid + bytes((1, 2, 3, 4, 5, 0x20, 0x26))

        def second(_body):
            self._waiting = last
            return bytes((MORE,)) + software

        self._waiting = second
        return bytes((MORE,)) + part

    def _select(self, code, body):
        if len(body) != 3:
            raise Refused(LENGTH)
        self.session = None
        self.number = -1
        if body not in self.applications:
            raise Refused(NO_APPLICATION)
        self.selected = body
        return bytes((OK,))

    def _application_ids(self, code, body):
        self._split(code, body, 0)
        if self.selected != b"\0\0\0":
            raise Refused(DENIED)
        return self._answer(b"".join(sorted(key for key in self.applications if any(key))))

    def _key_version(self, code, body):
        number = self._split(code, body, 1)[0]
        if number >= len(self.application.keys):
            raise Refused(NO_KEY)
        return self._answer(bytes((self.application.keys[number].version,)))

    def _key_settings(self, code, body):
        self._split(code, body, 0)
        return self._answer(bytes((self.application.settings, len(self.application.keys) | 0x80)))

    def _file_ids(self, code, body):
        self._split(code, body, 0)
        return self._answer(bytes(sorted(self.application.files)))

    def _file_settings(self, code, body):
        number = self._split(code, body, 1)[0]
        file = self._file(number)
        size = struct.pack("<I", len(file.data))[:3]
        return self._answer(bytes((0, file.mode)) + struct.pack("<H", file.access) + size)

    def _file(self, number):
        if number not in self.application.files:
            raise Refused(NO_FILE)
        return self.application.files[number]

    # With a key

    def _create_application(self, code, body):
        if self.selected != b"\0\0\0":
            raise Refused(DENIED)
        header = self._split(code, body, 5)
        number, settings, keys = header[:3], header[3], header[4]
        if number in self.applications:
            raise Refused(DUPLICATE)
        if not keys & 0x80 or not 0 < keys & 0x0F <= 14:
            raise Refused(PARAMETER)
        self.applications[number] = Application(settings, [Key() for _ in range(keys & 0x0F)])
        return self._answer()

    def _delete_application(self, code, body):
        number = self._split(code, body, 3)
        if number not in self.applications or not any(number):
            raise Refused(NO_APPLICATION)
        if self.selected not in (number, b"\0\0\0"):
            raise Refused(DENIED)
        self._need_key(0)
        # The session ends with the application, so the reply is the last of it.
        answer = self._answer()
        del self.applications[number]
        self.selected = b"\0\0\0"
        self.session = None
        self.number = -1
        return answer

    def _format(self, code, body):
        self._split(code, body, 0)
        if self.selected != b"\0\0\0":
            raise Refused(DENIED)
        self._need_key(0)
        for number in [key for key in self.applications if any(key)]:
            del self.applications[number]
        return self._answer()

    def _create_file(self, code, body):
        header = self._split(code, body, 7)
        self._need_key(0)
        number, mode = header[0], header[1]
        size = int.from_bytes(header[4:7], "little")
        if number in self.application.files:
            raise Refused(DUPLICATE)
        if mode not in (0, 1, 3) or not size:
            raise Refused(PARAMETER)
        self.application.files[number] = File(mode, struct.unpack("<H", header[2:4])[0], size)
        return self._answer()

    def _read(self, code, body):
        if len(body) < 7:
            raise Refused(LENGTH)
        file = self._file(body[0])
        header = self._split(code, body, 7, file.mode)
        self._need_key(*file.keys_for(12))
        offset, size = (int.from_bytes(header[at : at + 3], "little") for at in (1, 4))
        size = size or len(file.data) - offset
        if offset + size > len(file.data):
            raise Refused(BOUNDARY)
        return self._answer(bytes(file.data[offset : offset + size]), file.mode)

    def _write(self, code, body):
        if len(body) < 8:
            raise Refused(LENGTH)
        header, rest = body[:7], body[7:]
        file = self._file(header[0])
        offset, size = (int.from_bytes(header[at : at + 3], "little") for at in (1, 4))

        def end(whole):
            if len(whole) < self._sent_size(size, file.mode):

                def go_on(more):
                    if not more:
                        raise Refused(LENGTH)
                    return end(whole + more)

                self._waiting = go_on
                return bytes((MORE,))
            plain = self._command(code, header, whole, file.mode)
            if self.session is not None and file.mode == 3:
                plain = self.session.strip(code, header, plain, size)
            self._need_key(*file.keys_for(8))
            if len(plain) != size:
                raise Refused(LENGTH)
            if offset + size > len(file.data):
                raise Refused(BOUNDARY)
            file.data[offset : offset + size] = plain
            return self._answer()

        return end(rest)

    def _sent_size(self, size, mode):
        """How many bytes of so much data come in this session under a mode."""
        if self.session is None or not mode:
            return size
        if mode == 1:
            return size + 8
        if isinstance(self.session, Ev1Session):
            return size + 4 + -(size + 4) % 16
        return size + 1 + -(size + 1) % 16 + 8

    def _change_key(self, code, body):
        if not body or self.session is None:
            raise Refused(LENGTH if not body else REFUSED)
        header, sealed = body[:1], body[1:]
        number = header[0] & 0x3F
        if number >= len(self.application.keys):
            raise Refused(NO_KEY)
        self._need_key(0)
        is_own = number == self.number
        old = self.application.keys[number]
        if isinstance(self.session, tuple):
            plain = des.decrypt(self.session[1], bytes(8), sealed)
            new, version = plain[:16], plain[16]
            if plain[17:21] != checksum(b"\xc4" + header + plain[:17]) or any(plain[21:]):
                raise Refused(INTEGRITY)
        else:
            plain = self.session.take(code, header, sealed, 3)
            new, version = self._new_key(plain, header, is_own, old.value)
        self.application.keys[number] = Key("aes", new, version)
        if is_own:
            self.session = None
            self.number = -1
            return bytes((OK,))
        return self._answer()

    def _new_key(self, plain, header, is_own, old):
        """(key, version) of the plain data of ChangeKey in either session."""
        mixed, version = plain[:16], plain[16]
        new = mixed if is_own else bytes(mixed[place] ^ old[place] for place in range(16))
        expected = b"" if is_own else checksum(new)
        if isinstance(self.session, Ev1Session):
            expected = checksum(b"\xc4" + header + plain[:17]) + expected
            if any(plain[17 + len(expected) :]):
                raise Refused(INTEGRITY)
        elif len(plain) != 17 + len(expected):
            raise Refused(LENGTH)
        if plain[17 : 17 + len(expected)] != expected:
            raise Refused(INTEGRITY)
        return new, version
