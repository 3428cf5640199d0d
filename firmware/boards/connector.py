"""What is connected to a virtual board whose provisioning names a chip: readers, and the world's hands."""

from firmware.boards import readers
from firmware.ports import host, host_wires


def reader(hands, reading, values: dict, clock, panel) -> host_wires.HandsAndChips:
    """The board's reader; the chips are programs at the `reader_ports` of its provisioning."""
    sides = host_wires.sides(reading, values["reader_ports"])
    return host_wires.HandsAndChips(hands, readers.taps(reading, sides, clock, panel, host.random_bytes))
