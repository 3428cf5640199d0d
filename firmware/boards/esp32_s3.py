"""The ESP32-S3 boards: pins of the readers, as hardware/boards/esp32-s3.md has them.  No logic.

Leaves to the port what is no reader: journal flash, Wi-Fi, clock.  Not yet run on a chip.
"""

# The stubs are those of the unix port, whose machine knows no pins.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false

from machine import SPI, UART, Pin

from firmware.boards import readers
from firmware.drivers.taps import Taps
from firmware.hal.portal import IN, OUT
from firmware.hal.reading import MFRC522, OSDP, PN532_SERIAL, PN532_SPI, WIEGAND
from firmware.ports.chip_wires import ChipDataLines, ChipSerial, ChipSpi, ChipSwitch
from protocols.errors import FIELD_RANGE, Fault

# SPI bus of both readers; then (select or transmit or D0, reset or receive or D1) of each reader.
_SCK, _MOSI, _MISO = 12, 11, 13
_SPI_PINS = ((10, 14), (9, 21))
_UART_PINS = ((17, 18), (15, 16))
_WIEGAND_PINS = ((4, 5), (6, 7))
_SPI_BAUD = 1_000_000
_UART_BAUD = {PN532_SERIAL: 115200, OSDP: 9600}


def reader(reading, clock, panel, random_bytes) -> Taps:
    """The board's reader (hal/reader.py): one on a line, "in" and "out" at a gate."""
    names = ("-",) if reading.is_line else (IN, OUT)
    return readers.taps(reading, _sides(reading.kind, names), clock, panel, random_bytes)


def _sides(kind: str, names) -> list:
    """(side, wires, power) of each reader."""
    if kind in (MFRC522, PN532_SPI):
        bus = SPI(1, baudrate=_SPI_BAUD, polarity=0, phase=0, sck=Pin(_SCK), mosi=Pin(_MOSI), miso=Pin(_MISO))
        return [_on_spi(bus, name, *pins) for name, pins in zip(names, _SPI_PINS)]
    if kind in (PN532_SERIAL, OSDP):
        baud = _UART_BAUD[kind]
        return [_on_uart(place, baud, name, *_UART_PINS[place]) for place, name in enumerate(names)]
    if kind == WIEGAND:
        return [_on_wiegand(name, *pins) for name, pins in zip(names, _WIEGAND_PINS)]
    raise Fault(FIELD_RANGE, "reader wires", kind)


def _on_spi(bus, name: str, select: int, power: int) -> tuple:
    return name, ChipSpi(bus, Pin(select, Pin.OUT, value=1)), ChipSwitch(Pin(power, Pin.OUT, value=1))


def _on_uart(place: int, baud: int, name: str, transmit: int, receive: int) -> tuple:
    uart = UART(place + 1, baudrate=baud, tx=Pin(transmit), rx=Pin(receive), timeout=0, rxbuf=256, txbuf=256)
    return name, ChipSerial(uart), None


def _on_wiegand(name: str, zero: int, one: int) -> tuple:
    pins = Pin(zero, Pin.IN, Pin.PULL_UP), Pin(one, Pin.IN, Pin.PULL_UP)
    return name, ChipDataLines(*pins, Pin.IRQ_FALLING), None
