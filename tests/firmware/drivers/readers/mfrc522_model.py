"""An MFRC522 register by register, from its data sheet: SPI framing, FIFO, commands, timer, errors.

`Mfrc522Model` keeps hal/bus.Spi; the cards before its antenna are a Crowd.  What a driver does that the data
sheet forbids ends the test: a reserved register, a read that does not end in address 0, a full FIFO.
Both interpreters.
"""

COMMAND, COM_IRQ, ERROR, FIFO_DATA, FIFO_LEVEL, CONTROL = 0x01, 0x04, 0x06, 0x09, 0x0A, 0x0C
BIT_FRAMING, COLLISION, TX_MODE, RX_MODE, TX_CONTROL = 0x0D, 0x0E, 0x12, 0x13, 0x14
T_MODE, T_PRESCALER, T_RELOAD_HIGH, T_RELOAD_LOW, VERSION = 0x2A, 0x2B, 0x2C, 0x2D, 0x37
IDLE, TRANSCEIVE, SOFT_RESET = 0x00, 0x0C, 0x0F
RESERVED = (0x00, 0x0F, 0x10, 0x1A, 0x1B, 0x1E, 0x20, 0x23, 0x25, 0x3C, 0x3D, 0x3E, 0x3F)
READ_ONLY = (ERROR, 0x07, VERSION, 0x21, 0x22, 0x2E, 0x2F)
# Values after a reset that are not 0 (9.2).
AFTER_RESET = {COMMAND: 0x20, COM_IRQ: 0x14, TX_CONTROL: 0x80, 0x11: 0x3F, 0x0B: 0x08, CONTROL: 0x10}
CRYSTAL = 13560


class Mfrc522Model:
    """`crowd`: the cards; `clock`: elapsed milliseconds; `version`: of the chip, 0x92 or a clone's.

    `is_dead`: nobody drives MISO (`floating` is what is read then); `hangs`: exchanges never end.
    """

    def __init__(self, crowd, clock, version=0x92):
        self.crowd = crowd
        self.clock = clock
        self.version = version
        self.is_dead = False
        self.floating = 0x00
        self.hangs = False
        self.transactions = 0
        self.bytes = 0
        self.log = None
        self.power_on()

    def power_on(self):
        """Power was away: all settings are those of the data sheet's reset."""
        self.registers = [0] * 64
        for register, value in AFTER_RESET.items():
            self.registers[register] = value
        self.fifo = bytearray()
        self.answer = None
        self.ready_at = 0
        self.timer_at = None
        self.crowd.switch(False)

    def set(self, is_on):
        """NRSTPD, as hal/bus.Switch."""
        if not is_on:
            self.power_on()

    def exchange(self, outgoing, incoming):
        """One transaction of the bus."""
        assert len(outgoing) == len(incoming) >= 2
        self.transactions += 1
        self.bytes += len(outgoing)
        if self.log is not None:
            self.log.append(bytes(outgoing))
        if self.is_dead:
            for place in range(len(incoming)):
                incoming[place] = self.floating
            return
        self._settle()
        told = bytes(outgoing)
        incoming[0] = 0
        if told[0] & 0x80:
            assert told[-1] == 0, "a read ends with address 0"
            for place, address in enumerate(told[:-1]):
                assert address & 0x81 == 0x80, "address byte"
                incoming[place + 1] = self.read(address >> 1 & 0x3F)
        else:
            assert told[0] & 0x81 == 0, "address byte"
            for place in range(1, len(told)):
                self.write(told[0] >> 1, told[place])
                incoming[place] = 0

    def read(self, register):
        """One register."""
        assert register not in RESERVED, (register, "is reserved")
        if register == FIFO_DATA:
            if not self.fifo:
                return 0
            value = self.fifo[0]
            self.fifo = self.fifo[1:]
            return value
        if register == FIFO_LEVEL:
            return len(self.fifo)
        return self.version if register == VERSION else self.registers[register]

    def write(self, register, value):
        """One register."""
        assert register not in RESERVED + READ_ONLY, (register, "is reserved or read only")
        registers = self.registers
        if register == FIFO_DATA:
            assert len(self.fifo) < 64, "FIFO overflows"
            self.fifo.append(value)
        elif register == FIFO_LEVEL:
            if value & 0x80:
                self.fifo = bytearray()
                registers[ERROR] &= ~0x10
        elif register == COM_IRQ:
            if value & 0x80:
                registers[COM_IRQ] |= value & 0x7F
            else:
                registers[COM_IRQ] &= ~value
        elif register == COMMAND:
            self._command(value & 0x0F)
        else:
            registers[register] = value
            if register == TX_CONTROL:
                self.crowd.switch(value & 3 == 3)
            if register == BIT_FRAMING and value & 0x80:
                self._send()

    def _command(self, command):
        if command == SOFT_RESET:
            self.power_on()
            return
        assert command in (IDLE, TRANSCEIVE), (command, "is no command of this model")
        self.registers[COMMAND] = command
        self.answer = None
        self.timer_at = None
        if command == TRANSCEIVE:
            self.registers[ERROR] = 0
            if self.registers[BIT_FRAMING] & 0x80:
                self._send()

    def _send(self):
        """StartSend: the FIFO goes into the air, and the answer comes back later."""
        registers = self.registers
        if registers[COMMAND] != TRANSCEIVE or self.answer is not None or self.timer_at is not None:
            return
        frame, self.fifo = bytes(self.fifo), bytearray()
        last_bits = registers[BIT_FRAMING] & 7
        assert frame, "nothing to send"
        if registers[TX_MODE] & 0x80:
            from tests.firmware.drivers.readers.field import crc_a

            frame += crc_a(frame)
        assert not registers[RX_MODE] & 0x80, "this model leaves the checksum in the FIFO"
        registers[COM_IRQ] |= 0x40
        if self.hangs:
            self.timer_at = 1 << 29
            return
        now = self.clock.ticks()
        heard = self.crowd.hear(frame, last_bits)
        # 9 bits a byte at 106 kbit/s, and what the card takes.
        if heard is not None:
            self.answer = heard
            self.ready_at = now + (len(frame) + len(heard[0])) * 9 // 106
        elif registers[T_MODE] & 0x80:
            prescaler = (registers[T_MODE] & 0x0F) << 8 | registers[T_PRESCALER]
            reload = registers[T_RELOAD_HIGH] << 8 | registers[T_RELOAD_LOW]
            self.timer_at = now + (reload + 1) * (2 * prescaler + 1) // CRYSTAL

    def _settle(self):
        """What has happened since the last transaction."""
        now = self.clock.ticks()
        registers = self.registers
        if self.answer is not None and now >= self.ready_at:
            data, collision = self.answer[0], self.answer[1]
            wrong = self.answer[2] if len(self.answer) > 2 else 0
            last_bits = self.answer[3] if len(self.answer) > 3 else 0
            self.answer = None
            registers[ERROR] = wrong
            if collision:
                registers[ERROR] |= 0x08
                registers[COLLISION] = collision & 0x1F if collision <= 32 else 0x20
            if len(data) > 64:
                registers[ERROR] |= 0x10
                data = data[:64]
            self.fifo = bytearray(data)
            registers[CONTROL] = registers[CONTROL] & ~7 | last_bits
            registers[COM_IRQ] |= 0x30 | (0x02 if registers[ERROR] else 0)
            registers[COMMAND] = IDLE
        if self.timer_at is not None and now >= self.timer_at:
            self.timer_at = None
            registers[COM_IRQ] |= 0x01
