"""Which driver a reader is: one word of a board's provisioning record, one line here.

Promises: only the driver that is named is loaded; a chip has no heap to spare for the others.  The school's
keys go from the provisioning record to the proof of cards and nowhere else.
"""

from firmware.drivers.taps import Taps
from firmware.hal.reading import MFRC522, OSDP, PN532_SERIAL, PN532_SPI, WIEGAND
from protocols.errors import FIELD_RANGE, Fault


def taps(reading, sides, clock, panel, random_bytes) -> Taps:
    """The readers of a board behind one queue, as its Reading (hal/reading.py) says.

    `sides`: (side, wires, power) of each: "in", "out" or "-"; wires of hal/bus.py; a Switch or None.
    """
    prove = None
    if reading.is_proving:
        from firmware.drivers.proof import prover

        prove = prover(reading.role, reading.master_of, random_bytes)
    channel = (reading.osdp_key, random_bytes, reading.osdp_address, False)
    chips = [
        (side, make(reading.kind, wires, clock, prove=prove, power=power, channel=channel))
        for side, wires, power in sides
    ]
    return Taps(chips, clock, panel, reading.is_reversed)


def make(kind: str, wires, clock, *, prove=None, power=None, channel=None):
    """The Chip (hal/chip.py) of a kind on its wires (hal/bus.py); Fault(FIELD_RANGE) for an unknown word.

    `prove`: of drivers/proof.py, or None where cards are known by number; `power`: the chip's reset, or None.
    `channel`: for OSDP (key, random_bytes, address, is_installing), see drivers/osdp.py.
    """
    if kind == MFRC522:
        from firmware.drivers.mfrc522 import Mfrc522

        return Mfrc522(wires, clock, prove, power)
    if kind == PN532_SPI:
        from firmware.drivers.pn532 import FRAME_MAX, Pn532
        from firmware.drivers.pn532_spi import SpiFrames

        return Pn532(SpiFrames(wires, FRAME_MAX), clock, prove, power)
    if kind == PN532_SERIAL:
        from firmware.drivers.pn532 import FRAME_MAX, Pn532
        from firmware.drivers.pn532_serial import SerialFrames

        return Pn532(SerialFrames(wires, FRAME_MAX), clock, prove, power)
    if kind == WIEGAND:
        from firmware.drivers.wiegand import WiegandIn

        return WiegandIn(wires, clock)
    if kind == OSDP:
        from firmware.drivers.osdp import OsdpPanel

        return OsdpPanel(wires, clock, *channel)
    raise Fault(FIELD_RANGE, "reader kind", kind)
