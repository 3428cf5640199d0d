"""Each port keeps each contract of hal: the same public names, and methods that take the same arguments."""

import inspect

import pytest

from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.mqtt import MqttLink
from firmware.drivers.osdp import OsdpPanel
from firmware.drivers.pn532 import Pn532
from firmware.drivers.taps import Taps
from firmware.drivers.wiegand import WiegandIn
from firmware.hal import bus, chip, clock, flash, link, panel, portal, reader, storage, watchdog
from firmware.ports import host, host_flash, host_storage, host_world
from tests.firmware import parts
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.drivers.readers.pn532_model import SerialModel, SpiModel
from tests.firmware.drivers.readers.test_wiegand import Wires
from tests.protocols.nor import Nor

PAIRS = [
    (flash.Flash, host_flash.FileFlash),
    (flash.Flash, Nor),
    (storage.Storage, host_storage.FileStorage),
    (storage.Storage, host_storage.NoStorage),
    (storage.Storage, parts.RamStorage),
    (clock.Clock, host_world.WorldClock),
    (clock.Clock, host_world.HostClock),
    (clock.Clock, parts.RigClock),
    (reader.Reader, host_world.WorldReader),
    (reader.Reader, parts.Hands),
    (reader.Reader, Taps),
    (chip.Chip, Mfrc522),
    (bus.Spi, Mfrc522Model),
    (chip.Chip, Pn532),
    (chip.Chip, WiegandIn),
    (chip.Chip, OsdpPanel),
    (bus.DataLines, Wires),
    (bus.Switch, Mfrc522Model),
    (bus.Spi, SpiModel),
    (bus.Serial, SerialModel),
    (portal.Portal, host_world.WorldPortal),
    (portal.Portal, parts.Hands),
    (panel.Panel, host_world.WorldPanel),
    (panel.Panel, parts.RigPanel),
    (link.Link, MqttLink),
    (link.Link, parts.RigLink),
    (watchdog.Watchdog, host.HostWatchdog),
    (watchdog.Watchdog, parts.Dog),
]


def public(kind):
    """Name -> member of all that a contract promises."""
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def set_by_init(kind):
    """Names that the initialisers of a class and its bases set."""
    names = set()
    for each in kind.__mro__:
        if "__init__" in vars(each) and each is not object:
            names.update(each.__init__.__code__.co_names)
    return names


@pytest.mark.parametrize(("contract", "port"), PAIRS, ids=lambda kind: kind.__name__)
def test_port_keeps_the_contract(contract, port):
    for name, promised in public(contract).items():
        kept = inspect.getattr_static(port, name, None)
        if not inspect.isfunction(promised):
            assert kept is not None or name in set_by_init(port), f"{port.__name__}.{name}"
            continue
        assert inspect.isfunction(kept), f"{port.__name__}.{name}"
        wanted = len(inspect.signature(promised).parameters)
        assert len(inspect.signature(kept).parameters) == wanted, f"{port.__name__}.{name}"


@pytest.mark.parametrize("contract", list(dict.fromkeys(pair[0] for pair in PAIRS)))
def test_contract_is_words_only(contract):
    assert contract.__doc__
    for name, member in public(contract).items():
        if inspect.isfunction(member):
            assert member.__doc__, f"{contract.__name__}.{name}"
            count = len(inspect.signature(member).parameters) - 1
            with pytest.raises(NotImplementedError):
                member(*([None] * (count + 1)))
