"""What a board hands to the application: the parts it is made of, and its provisioning record.

Promises names only.  Which driver stands behind a part is written in
`firmware/boards`, one line a part.
"""

from protocols.errors import STORAGE_MISSING, Fault

GATE = "gate"
CANTEEN = "canteen"


class Provision:
    """Who this device is: written once when it is provisioned, never by the device itself.

    `school`, `device`: u32; `epoch`: u32, one more at each provisioning;
    `kind`: GATE or CANTEEN; `key`: 32 random bytes of this (device, epoch);
    `reference_key`: 32 bytes, the school's card key; `reading`: a Reading of reading.py, or
    None for a board whose readers are no chips and whose cards are known by number.
    """

    def __init__(
        self,
        *,
        school: int,
        device: int,
        epoch: int,
        kind: str,
        key: bytes,
        reference_key: bytes,
        reading=None,
    ) -> None:
        if kind not in (GATE, CANTEEN) or len(key) != 32 or len(reference_key) != 32:
            raise Fault(STORAGE_MISSING, "provision", "kind or key")
        self.school = school
        self.device = device
        self.epoch = epoch
        self.kind = kind
        self.key = key
        self.reference_key = reference_key
        self.reading = reading

    def __repr__(self) -> str:
        # A key is never printed, not even by accident.
        return "Provision(%08x)" % self.device


class Board:
    """The parts by name: each keeps the contract of the file of the same name in `hal`.

    `portal` is None on a canteen line.  `random_bytes(count)` is the chip's
    source of randomness; `till` is the Serial (bus.py) to a line's till, or None.
    `wait(milliseconds)` sleeps until a card, the network or the time wakes it,
    whichever is first.
    """

    def __init__(
        self, *, provision, flash, storage, clock, reader, portal, panel, link, watchdog, random_bytes, wait,
        till=None,
    ) -> None:  # fmt: skip
        self.provision = provision
        self.flash = flash
        self.storage = storage
        self.clock = clock
        self.reader = reader
        self.portal = portal
        self.panel = panel
        self.link = link
        self.watchdog = watchdog
        self.random_bytes = random_bytes
        self.wait = wait
        self.till = till
