"""A DESFire EV1 or EV2 card as the data sheet describes it, seen from the card's side.

Promises: every command is checked as a card checks it (selected application, key of the session, rights of
the file, MAC, checksum, counter, length); what a talk leaves undone stays as it was, one command at a time,
so that a card can be pulled away after any of them.  `random_bytes` may be handed in, so that published
transcripts can be played.  Written for both interpreters; no code of the product but AES, DES and CMAC.
"""

import struct
from binascii import crc32

from protocols.card import aes, cmac, des

OK, MORE = 0x00, 0xAF
NO_CHANGES, ILLEGAL, INTEGRITY, NO_KEY, LENGTH = 0x0C, 0x1C, 0x1E, 0x40, 0x7E
DENIED, PARAMETER, NO_APPLICATION, REFUSED, BOUNDARY = 0x9D, 0x9E, 0xA0, 0xAE, 0xBE
ABORTED, DUPLICATE, NO_FILE = 0xCA, 0xDE, 0xF0

FRAME = 59
ZERO = bytes(16)


class Pulled(Exception):
    """The card is no longer in the field."""


class Refused(Exception):
    """A status that the card answers with."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def turned(block):
    return bytes(block[1:]) + bytes(block[:1])


def checksum(data):
    return struct.pack("<I", crc32(data) ^ 0xFFFFFFFF)


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


class File:
    def __init__(self, mode, access, size):
        self.mode = mode
        self.access = access
        self.data = bytearray(size)

    def keys_for(self, shift):
        """Key numbers of a right: 12 read, 8 write; read-and-write is allowed with both."""
        return (self.access >> shift & 0xF, self.access >> 4 & 0xF)


class Ev1Session:
    def __init__(self, key):
        self.key = key
        self.iv = ZERO

    def mac(self, data):
        self.iv = cmac.cmac(self.key, data, self.iv)
        return self.iv

    def take(self, code, header, body, mode):
        """The plain data of a command: its MAC or checksum looked at."""
        if mode == 3 and body:
            if len(body) % 16:
                raise Refused(LENGTH)
            plain = aes.decrypt(self.key, self.iv, body)
            self.iv = body[-16:]
            return plain
        if mode == 1 and body:
            told, body = body[-8:], body[:-8]
            if self.mac(bytes((code,)) + header + body)[:8] != told:
                raise Refused(INTEGRITY)
            return body
        self.mac(bytes((code,)) + header + body)
        return body

    def strip(self, code, header, plain, size):
        """Data before its checksum."""
        data = plain[:size]
        if plain[size : size + 4] != checksum(bytes((code,)) + header + data) or any(plain[size + 4 :]):
            raise Refused(INTEGRITY)
        return data

    def give(self, data, mode):
        if mode == 3 and data:
            whole = data + checksum(data + b"\0")
            whole += bytes(-len(whole) % 16)
            sealed = aes.encrypt(self.key, self.iv, whole)
            self.iv = sealed[-16:]
            return sealed
        return data + self.mac(data + b"\0")[:8]


class Ev2Session:
    def __init__(self, encryption, mac, transaction, counter=0):
        self.encryption = encryption
        self.mac_key = mac
        self.transaction = transaction
        self.counter = counter

    def mac(self, first, data):
        whole = bytes((first,)) + struct.pack("<H", self.counter) + self.transaction + data
        return cmac.truncated(cmac.cmac(self.mac_key, whole))

    def iv(self, label):
        whole = label + self.transaction + struct.pack("<H", self.counter) + bytes(8)
        return aes.encrypt(self.encryption, ZERO, whole)

    def take(self, code, header, body, mode):
        if mode == 0:
            return body
        if len(body) < 8:
            raise Refused(LENGTH)
        told, body = body[-8:], body[:-8]
        if self.mac(code, header + body) != told:
            raise Refused(INTEGRITY)
        if mode == 3 and body:
            if len(body) % 16:
                raise Refused(LENGTH)
            plain = aes.decrypt(self.encryption, self.iv(b"\xa5\x5a"), body)
            end = len(plain) - 1
            while end >= 0 and not plain[end]:
                end -= 1
            if end < 0 or plain[end] != 0x80:
                raise Refused(INTEGRITY)
            return plain[:end]
        return body

    def strip(self, code, header, plain, size):
        if len(plain) != size:
            raise Refused(LENGTH)
        return plain

    def give(self, data, mode):
        self.counter += 1
        if mode == 0:
            return data
        if mode == 3 and data:
            whole = data + b"\x80" + bytes(-(len(data) + 1) % 16)
            data = aes.encrypt(self.encryption, self.iv(b"\x5a\xa5"), whole)
        return data + self.mac(OK, data)


class VirtualDesfire:
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
        handlers = {
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
            handlers[0x71] = self._ev2_first
            handlers[0x77] = self._ev2_next
        work = handlers.get(code)
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
