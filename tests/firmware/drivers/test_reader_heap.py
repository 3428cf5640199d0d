"""What each reader's driver costs a board's heap, on the real MicroPython, by the code that a board gets."""

import json
import subprocess

import pytest

from reader_host.virtual.build import build

KINDS = ("mfrc522", "pn532_spi", "pn532_serial", "wiegand", "osdp")
# Of this interpreter: its objects are twice as big as a chip's, its table of names grows by 10 KB at once.
MOST = 20 * 1024
MOST_OF_OBJECTS = 6 * 1024

PROGRAM = """
import gc, json, sys
from firmware.app.controller import Controller
from firmware.app.sync import Sync
from firmware.app.turnstile import Turnstile
from firmware.boards import readers
from firmware.drivers import taps
from firmware.ports.host_world import HostClock

class Wires:
    def exchange(self, outgoing, incoming): pass
    def write(self, data): pass
    def read_into(self, buffer): return 0
    def listen(self, on_bit): pass

class Ticks:
    def ticks_ms(self): return 0
    def ticks_diff(self, later, earlier): return later - earlier

clock, wires = HostClock(Ticks()), Wires()
gc.collect()
before, known = gc.mem_alloc(), set(sys.modules)
prove = None
if sys.argv[2] == "proving":
    from firmware.drivers.proof import prover
    prove = prover(1, None, None)
channel = (bytes(16), None, 0, False)
chip = readers.make(sys.argv[1], wires, clock, prove=prove, channel=channel)
gc.collect()
all_of_it, modules = gc.mem_alloc() - before, sorted(set(sys.modules) - known)
del known
gc.collect()
before = gc.mem_alloc()
more = [None] * 16
before = gc.mem_alloc()
for number in range(16):
    more[number] = readers.make(sys.argv[1], wires, clock, prove=prove, channel=channel)
gc.collect()
print(json.dumps([all_of_it, (gc.mem_alloc() - before) // 16, modules]))
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """(the program, the folder of the firmware that it runs on)."""
    path = tmp_path_factory.mktemp("heap") / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path, build(users=[path])


def loaded(micropython, program, kind, how):
    """(bytes of heap with the code, bytes of the objects alone, modules) of one reader."""
    path, firmware = program
    command = [micropython, "-X", "heapsize=512k", path, kind, how]
    paths = {"MICROPYPATH": str(firmware)}
    done = subprocess.run(command, cwd=firmware, env=paths, stdout=subprocess.PIPE, text=True, check=True)
    whole, objects, modules = json.loads(done.stdout)
    print(f"{kind} {how}: {whole} B of heap with its code, {objects} B where the code is frozen into flash")
    return whole, objects, modules


@pytest.mark.parametrize("kind", KINDS)
def test_board_loads_only_its_own_driver(micropython, program, kind):
    whole, objects, modules = loaded(micropython, program, kind, "by_number")
    others = {f"firmware.drivers.{name}" for name in KINDS} - {f"firmware.drivers.{kind}"}
    assert not others.intersection(modules)
    assert not [name for name in modules if name.endswith(("isodep", "application", "desfire"))]
    assert whole < MOST
    assert objects < MOST_OF_OBJECTS


def test_keys_are_loaded_where_cards_prove_themselves(micropython, program):
    whole, objects, modules = loaded(micropython, program, "mfrc522", "proving")
    assert "firmware.drivers.isodep" in modules
    assert "firmware.drivers.isodep" not in loaded(micropython, program, "pn532_spi", "proving")[2]
    assert "protocols.card.des" not in modules
    assert whole < 2 * MOST
    assert objects < MOST_OF_OBJECTS
