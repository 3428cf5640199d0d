"""Which driver a reader is: one word of a board's configuration, one line here.

Promises: only the driver that is named is loaded; a chip has no heap to spare for the others.
"""

from protocols.errors import FIELD_RANGE, Fault


def make(kind: str, wires, clock, *, prove=None, power=None, channel=None):
    """The Chip (hal/chip.py) of a kind on its wires (hal/bus.py); Fault(FIELD_RANGE) for an unknown word.

    `prove`: of drivers/proof.py, or None where cards are known by number; `power`: the chip's reset, or None.
    `channel`: for OSDP (key, random_bytes, address, is_installing), see drivers/osdp.py.
    """
    if kind == "mfrc522":
        from firmware.drivers.mfrc522 import Mfrc522

        return Mfrc522(wires, clock, prove, power)
    if kind == "pn532_spi":
        from firmware.drivers.pn532 import FRAME_MAX, Pn532
        from firmware.drivers.pn532_spi import SpiFrames

        return Pn532(SpiFrames(wires, FRAME_MAX), clock, prove, power)
    if kind == "pn532_serial":
        from firmware.drivers.pn532 import FRAME_MAX, Pn532
        from firmware.drivers.pn532_serial import SerialFrames

        return Pn532(SerialFrames(wires, FRAME_MAX), clock, prove, power)
    if kind == "wiegand":
        from firmware.drivers.wiegand import WiegandIn

        return WiegandIn(wires, clock)
    if kind == "osdp":
        from firmware.drivers.osdp import OsdpPanel

        return OsdpPanel(wires, clock, *channel)
    raise Fault(FIELD_RANGE, "reader kind", kind)
