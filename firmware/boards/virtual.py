"""The virtual board: flash and littlefs in files, cards and lights as lines, MQTT over the host's sockets.

Promises the same application as on a chip, and the same drivers where its provisioning names a reader's chip,
which is then a program at each of `reader_ports`.  `prepare` makes its flash when it is
provisioned; `build` never formats anything.
"""

import os

from chumicro_sockets.sockets_factory import fixed_connector_factory
from chumicro_timing import ticks

from firmware.drivers.mqtt import MqttLink
from firmware.hal.board import GATE, Board
from firmware.ports import host, host_flash, host_storage, host_world
from protocols.errors import STORAGE_MISSING, Fault
from protocols.ids import hex8
from protocols.wire import topics

PROVISION = "/provision.json"
FLASH = "/flash.bin"
LITTLEFS = "/littlefs.bin"
# 32,000 records: a month of the largest school's gate.
FLASH_SIZE = 1024 * 1024
# Two tables of 5,000 cards and the rest.
LITTLEFS_SIZE = 1024 * 1024


def prepare(folder: str) -> None:
    """Make the flash of a new board; Fault(STORAGE_MISSING) when it has one: nothing is formatted twice."""
    for name in (FLASH, LITTLEFS):
        if _exists(folder + name):
            raise Fault(STORAGE_MISSING, "prepare", "there is a flash already")
    host_flash.make_blank(folder + FLASH, FLASH_SIZE)
    host_flash.make_blank(folder + LITTLEFS, LITTLEFS_SIZE)
    host_storage.format_littlefs(folder + LITTLEFS)


def build(folder: str) -> tuple:
    """(Board, World) of a provisioned folder; Fault when its provisioning or its journal flash is missing."""
    provision, values = host.read_provision(folder + PROVISION)
    flash = host_flash.FileFlash(folder + FLASH)
    clock = host_world.WorldClock(ticks) if values["world_clock"] else host_world.HostClock(ticks)
    world = host_world.World(clock, *host.standard_streams())
    panel = host_world.WorldPanel(world)
    link = _link(provision, values)
    board = Board(
        provision=provision,
        flash=flash,
        storage=_storage(folder, panel),
        clock=clock,
        reader=_reader(provision, values, clock, world, panel),
        portal=host_world.WorldPortal(world) if provision.kind == GATE else None,
        panel=panel,
        link=link,
        watchdog=host.HostWatchdog(),
        random_bytes=host.random_bytes,
        wait=host.Waiter(world, link).wait,
        till=_till(values),
    )
    return board, world


def _reader(provision, values: dict, clock, world, panel):
    hands = host_world.WorldReader(world)
    if provision.reading is None or "reader_ports" not in values:
        return hands
    from firmware.boards import connector

    return connector.reader(hands, provision.reading, values, clock, panel)


def _till(values: dict):
    if "till_port" not in values:
        return None
    from firmware.ports.host_serial import LoopbackSerial

    return LoopbackSerial(values["till_port"], ticks)


def _storage(folder: str, panel):
    try:
        return host_storage.mount_littlefs(folder + LITTLEFS)[0]
    except Fault as fault:
        panel.fault(fault.code, fault.thing)
        return host_storage.NoStorage()


def _link(provision, values: dict) -> MqttLink:
    school, device = provision.school, provision.device
    return MqttLink(
        transport=fixed_connector_factory(values["broker_host"], values["broker_port"]),
        hurry=host.send_at_once,
        client_id=hex8(device),
        spread=device,
        username=values["username"],
        password=values["password"],
        state_topic=topics.topic(school, device, topics.STATE),
        birth=topics.ONLINE,
        will=topics.GONE,
        subscriptions=(topics.topic(school, device, topics.DOWN), topics.topic(school, device, topics.TABLE)),
    )


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True
