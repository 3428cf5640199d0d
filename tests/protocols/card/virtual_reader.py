"""An OSDP reader as the standard describes it, from the reader's side, for both interpreters.

Promises: it answers a packet that comes again with the same reply; a channel ends with whatever is wrong in
it.  No code of the product but AES.  The real peer is libosdp, see tests/firmware/drivers/test_osdp_peer.py.
"""

from protocols.card import aes

DEFAULT = bytes(range(0x30, 0x40))


def crc(data):
    made = 0x1D0F
    for value in data:
        for place in range(7, -1, -1):
            top = (made >> 15 ^ value >> place) & 1
            made = (made << 1 & 0xFFFF) ^ (0x1021 if top else 0)
    return bytes((made & 0xFF, made >> 8))


class VirtualReader:
    """`events`: (code, data) to be told at the next polls; `orders`: what was ordered in the channel.

    `is_installing`: takes the maker's key too.  `is_open`: whether the channel stands.
    """

    def __init__(self, key, address=0, is_installing=False):
        self.key = key
        self.address = address
        self.is_installing = is_installing or key == DEFAULT
        self.events = []
        self.orders = []
        self.random = bytes(range(0xA0, 0xA8))
        self.busy = 0
        self.is_clear = False
        self.reset()

    def reset(self):
        """Power was away."""
        self.is_open = False
        self.last = None
        self.last_reply = b""

    def packet(self, sequence, code, data=b"", block=b"", mac=None):
        body = bytes((code,)) + data
        size = 5 + len(block) + len(body) + 2 + (4 if mac else 0)
        head = bytes((0x53, self.address | 0x80, size & 0xFF, size >> 8, sequence | 4 | (8 if block else 0)))
        whole = head + block + body
        if mac:
            whole += mac(whole)
        return whole + crc(whole)

    def hear(self, packet):
        """The reply to one packet, or nothing."""
        packet = bytes(packet)
        if packet[1] != self.address or crc(packet[:-2]) != packet[-2:]:
            return b""
        if self.busy:
            self.busy -= 1
            return self.packet(0, 0x79)
        sequence = packet[4] & 3
        if sequence and packet == self.last:
            return self.last_reply
        if not sequence:
            self.is_open = False
        self.last = packet
        self.last_reply = self.obey(packet[:-2], sequence)
        return self.last_reply

    def obey(self, whole, sequence):
        size = whole[5] if whole[4] & 8 else 0
        block, code, data = whole[5 : 5 + size], whole[5 + size], whole[6 + size :]
        if code == 0x61 and not block:
            return self.packet(sequence, 0x45, bytes(range(12)))
        if code == 0x76 and size == 3 and block[1] == 0x11:
            return self.challenged(sequence, block[2], data)
        if code == 0x77 and size == 3 and block[1] == 0x13:
            return self.proved(sequence, data)
        if not self.is_open or size != 2:
            return self.packet(sequence, 0x41, b"\x06")
        return self.sealed(whole, sequence, block, code, data)

    def challenged(self, sequence, index, data):
        key = DEFAULT if not index else self.key
        if not index and not self.is_installing:
            return self.packet(sequence, 0x41, b"\x05")
        if index and self.key is None:
            return self.packet(sequence, 0x41, b"\x05")
        self.theirs = data
        block = bytes(8)
        self.session, self.first, self.last_key = (
            aes.encrypt_block(key, bytes((1, kind)) + data[:6] + block) for kind in (0x82, 1, 2)
        )
        proof = aes.encrypt_block(self.session, data + self.random)
        # The key that it really has, whatever was asked for.
        told = 0 if key == DEFAULT else 1
        return self.packet(sequence, 0x76, bytes(8) + self.random + proof, bytes((3, 0x12, told)))

    def proved(self, sequence, data):
        right = data == aes.encrypt_block(self.session, self.random + self.theirs)
        start = aes.encrypt_block(self.last_key, aes.encrypt_block(self.first, data))
        self.is_open = right
        self.reply_mac = start
        return self.packet(sequence, 0x78, start, bytes((3, 0x14, 1 if right else 0xFF)))

    def mac(self, start, whole):
        whole = whole + (b"\x80" + bytes(-len(whole + b"1") % 16) if len(whole) % 16 else b"")
        for place in range(0, len(whole), 16):
            key = self.last_key if place + 16 == len(whole) else self.first
            start = aes.encrypt(key, start, whole[place : place + 16])
        return start

    def sealed(self, whole, sequence, block, code, data):
        made = self.mac(self.reply_mac, whole[:-4])
        if made[:4] != whole[-4:] or block[1] not in (0x15, 0x17):
            self.is_open = False
            return self.packet(sequence, 0x41, b"\x06")
        self.command_mac = made
        data = data[:-4]
        if block[1] == 0x17:
            plain = aes.decrypt(self.session, bytes(each ^ 0xFF for each in self.reply_mac), data)
            data = plain.rstrip(b"\0")[:-1]
        if code != 0x60:
            self.orders.append((code, data))
            if code == 0x75:
                self.key = data[2:]
        event = self.events.pop(0) if self.events and code == 0x60 else (0x40, b"")
        if self.is_clear:
            return self.packet(sequence, *event)
        block, told = b"\x02\x16", event[1]
        if told:
            block = b"\x02\x18"
            told = told + b"\x80" + bytes(-len(told + b"1") % 16)
            told = aes.encrypt(self.session, bytes(each ^ 0xFF for each in made), told)
        return self.packet(sequence, event[0], told, block, self.reply_mac_of)

    def reply_mac_of(self, whole):
        self.reply_mac = self.mac(self.command_mac, whole)
        return self.reply_mac[:4]
