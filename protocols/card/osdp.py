"""OSDP v2.2: the packets of a panel and its readers on RS-485, and the secure channel between them.

    53 | address | u16 length | control | [block] | code | data | [4 B MAC] | u16 crc    reply: address + 80
    control: bits 0-1 sequence, 04 a crc (always), 08 a security block (length, type, data)

    blocks 11..14 open the channel, 15/16 carry a MAC, 17/18 enciphered data and a MAC

Promises: a packet counts when length, crc and, in a channel, the MAC over it and over all before it are
right; what is enciphered is read only after that.  The key SCBK-D that every reader has from its maker is
known here to be refused.  Leaves to firmware/drivers/osdp.py when what is said.

Source: SIA OSDP v2.2, 5.9 and annexes D and E.
"""

from protocols.card import aes
from protocols.errors import READER_NOISE, READER_UNTRUSTED, Fault
from protocols.mac import equal

POLL, ID, KEY_SET, CHALLENGE, CRYPTOGRAM = 0x60, 0x61, 0x75, 0x76, 0x77
ACK = 0x40
NAK = 0x41
READER_ID = 0x45
RAW = 0x50
CHALLENGED = 0x76
OPENED = 0x78
BUSY = 0x79

MAKERS_KEY = bytes(range(0x30, 0x40))
"""SCBK-D: the key of installation, the same in all readers of the world."""

START = 0x53
REPLY = 0x80
LENGTH_MAX = 256
RANDOM = 8

_CRC, _SECURED = 0x04, 0x08
_MAC_SIZE = 4
_HEAD = 5
# Blocks by type: those that come without a MAC are said before the channel is open.
_TO_READER, _TO_READER_SEALED = 0x15, 0x17
_FROM_READER, _FROM_READER_SEALED = 0x16, 0x18
_END = b"\x80"


def crc16(data, count: int) -> int:
    """CRC-16 of the first bytes of a buffer: 1021, from 1D0F on, low byte first on the line."""
    made = 0x1D0F
    for place in range(count):
        made ^= data[place] << 8
        for _ in range(8):
            made = made << 1 ^ 0x1021 if made & 0x8000 else made << 1
        made &= 0xFFFF
    return made


def _little(number: int) -> bytes:
    return bytes((number & 0xFF, number >> 8))


def _head(address: int, sequence: int, block: bytes, size: int) -> bytes:
    control = sequence | _CRC | (_SECURED if block else 0)
    return bytes((START, address)) + _little(_HEAD + len(block) + size + 2) + bytes((control,)) + block


def _closed(whole: bytes) -> bytes:
    return whole + _little(crc16(whole, len(whole)))


def pack(address: int, sequence: int, code: int, data: bytes = b"", block: bytes = b"") -> bytes:
    """A packet outside of a channel."""
    body = bytes((code,)) + data
    return _closed(_head(address, sequence, block, len(body)) + body)


class Packet:
    """`sequence`, `block` (type and data, or empty), `code`, `data`; `whole`: all of it but the crc."""

    def __init__(self, whole: bytes) -> None:
        """Take apart what has a right length and crc; Fault(READER_NOISE) for a block that is none."""
        self.whole = whole
        self.sequence = whole[4] & 0x03
        size = whole[_HEAD] if whole[4] & _SECURED and len(whole) > _HEAD else 0
        at = _HEAD + size
        if at >= len(whole) or (whole[4] & _SECURED and size < 2):
            raise Fault(READER_NOISE, "osdp block")
        self.block = whole[_HEAD + 1 : at]
        self.code = whole[at]
        self.data = whole[at + 1 :]


def find(buffer, count: int, address: int) -> tuple:
    """(end, Packet or None) of the first reply of a reader in what has come.

    `end`: how many bytes are used up: rubbish, and the packet when there is one.
    """
    start = 0
    while start < count:
        if buffer[start] != START:
            start += 1
            continue
        if count - start < _HEAD:
            break
        length = buffer[start + 2] | buffer[start + 3] << 8
        if not _HEAD + 3 <= length <= LENGTH_MAX or not buffer[start + 4] & _CRC:
            start += 1
            continue
        if count - start < length:
            break
        whole = bytes(buffer[start : start + length])
        if whole[1] == address | REPLY and crc16(whole, length - 2) == whole[-2] | whole[-1] << 8:
            return start + length, Packet(whole[:-2])
        start += 1
    return start, None


class Channel:
    """The panel's side of one secure channel.

    `key`: the SCBK of this reader; `random`: 8 bytes, new for each channel.  In
    order: challenge(), answer() to what came, opened() by what came; then seal() and open().
    """

    def __init__(self, key: bytes, random: bytes) -> None:
        self._key = key
        self._random = random
        self._session = self._first = self._last = b""
        # The newest MAC of each direction: it is the start of the next one of the other.
        self._ours = self._theirs = b""
        self._proof = b""

    def __repr__(self) -> str:
        return "Channel()"

    @property
    def _index(self) -> int:
        return 0 if self._key == MAKERS_KEY else 1

    def challenge(self, address: int, sequence: int) -> bytes:
        """The packet that begins a channel."""
        return pack(address, sequence, CHALLENGE, self._random, bytes((3, 0x11, self._index)))

    def answer(self, packet: Packet, address: int, sequence: int) -> bytes:
        """The packet that proves us to the reader; Fault(READER_UNTRUSTED) when it has not proved itself."""
        if packet.code != CHALLENGED or packet.block != bytes((0x12, self._index)) or len(packet.data) != 32:
            raise Fault(READER_UNTRUSTED, "osdp challenge")
        theirs, proof = packet.data[8:16], packet.data[16:]
        self._session = self._derive(0x82)
        self._first = self._derive(0x01)
        self._last = self._derive(0x02)
        if not equal(proof, aes.encrypt_block(self._session, self._random + theirs)):
            raise Fault(READER_UNTRUSTED, "osdp proof")
        self._proof = aes.encrypt_block(self._session, theirs + self._random)
        return pack(address, sequence, CRYPTOGRAM, self._proof, bytes((3, 0x13, self._index)))

    def _derive(self, kind: int) -> bytes:
        return aes.encrypt_block(self._key, bytes((0x01, kind)) + self._random[:6] + bytes(8))

    def opened(self, packet: Packet) -> None:
        """The reader has opened the channel; Fault(READER_UNTRUSTED) when it has not."""
        expected = aes.encrypt_block(self._last, aes.encrypt_block(self._first, self._proof))
        right = packet.code == OPENED and packet.block == b"\x14\x01" and len(packet.data) == 16
        if not right or not equal(packet.data, expected):
            raise Fault(READER_UNTRUSTED, "osdp channel")
        self._theirs = expected

    def seal(self, address: int, sequence: int, code: int, data: bytes = b"") -> bytes:
        """A packet in the channel; to be said again as it is when no answer comes."""
        block = bytes((2, _TO_READER))
        if data:
            block = bytes((2, _TO_READER_SEALED))
            data = aes.encrypt(self._session, _inverted(self._theirs), _padded(data + _END))
        body = bytes((code,)) + data
        whole = _head(address, sequence, block, len(body) + _MAC_SIZE) + body
        self._ours = self._mac(self._theirs, whole)
        return _closed(whole + self._ours[:_MAC_SIZE])

    def open(self, packet: Packet) -> bytes:
        """The data of a reply in the channel; Fault(READER_UNTRUSTED) for what is not of it."""
        sealed = packet.block == bytes((_FROM_READER_SEALED,))
        if not sealed and packet.block != bytes((_FROM_READER,)):
            raise Fault(READER_UNTRUSTED, "osdp block")
        data, told = packet.data[:-_MAC_SIZE], packet.data[-_MAC_SIZE:]
        mac = self._mac(self._ours, packet.whole[:-_MAC_SIZE])
        if not equal(told, mac[:_MAC_SIZE]):
            raise Fault(READER_UNTRUSTED, "osdp mac")
        if sealed:
            if not data or len(data) % aes.BLOCK:
                raise Fault(READER_UNTRUSTED, "osdp data")
            plain = aes.decrypt(self._session, _inverted(self._ours), data).rstrip(b"\0")
            if plain[-1:] != _END:
                raise Fault(READER_UNTRUSTED, "osdp end")
            data = plain[:-1]
        elif data:
            raise Fault(READER_UNTRUSTED, "osdp data")
        self._theirs = mac
        return data

    def _mac(self, start: bytes, whole: bytes) -> bytes:
        """All blocks but the last under the one key, the last under the other (D.5)."""
        if len(whole) % aes.BLOCK:
            whole = _padded(whole + _END)
        if len(whole) > aes.BLOCK:
            start = aes.encrypt(self._first, start, whole[: -aes.BLOCK])[-aes.BLOCK :]
        return aes.encrypt(self._last, start, whole[-aes.BLOCK :])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % aes.BLOCK)


def _inverted(data: bytes) -> bytes:
    return bytes(each ^ 0xFF for each in data)
