"""The flash and storage models: bits fall, cuts fall at their byte, files are there or not."""

import errno

import pytest

from protocols.errors import Fault
from scripts.sim.flash import SECTOR, SimFlash
from scripts.sim.power import Power, PowerCut
from scripts.sim.storage import SimStorage


def test_bits_only_fall():
    flash = SimFlash(2, Power())
    flash.program(0, b"\x0f")
    flash.program(0, b"\x0c")
    with pytest.raises(Fault):
        flash.program(0, b"\x1c")
    flash.erase(0)
    assert flash.bytes[0] == 0xFF


@pytest.mark.parametrize(("share", "written"), [(0, 0), (500, 16), (1000, 32)])
def test_cut_falls_at_its_byte(share, written):
    power = Power()
    flash = SimFlash(2, power)
    power.arm(1, share)
    flash.program(0, bytes(32))
    with pytest.raises(PowerCut):
        flash.program(32, bytes(32))
    assert flash.bytes[32:64] == bytes(written) + b"\xff" * (32 - written)
    with pytest.raises(PowerCut):
        flash.program(64, bytes(32))
    power.restore()
    flash.program(64, bytes(32))


def test_page_of_a_cut_is_weak_until_erased():
    power = Power()
    flash = SimFlash(2, power)
    flash.program(64, b"\x7f" * 32)
    power.arm(0, 500)
    with pytest.raises(PowerCut):
        flash.program(96, bytes(32))
    power.restore()
    flash.program(128, bytes(32))
    assert flash.bytes[64:96] == b"\x7f" * 8 + b"\0" + b"\x7f" * 23
    flash.erase(0)
    flash.program(64, b"\x7f" * 32)
    flash.program(128, bytes(32))
    assert flash.bytes[64:96] == b"\x7f" * 32


def test_stuck_page_takes_nothing_until_erased():
    flash = SimFlash(2, Power())
    flash.stuck.add(SECTOR // 256)
    flash.program(SECTOR, bytes(32))
    assert flash.bytes[SECTOR] == 0xFF
    flash.erase(1)
    flash.program(SECTOR, bytes(32))
    assert flash.bytes[SECTOR] == 0


def test_file_exists_only_when_closed():
    power = Power()
    storage = SimStorage(power)
    file = storage.open("new", "wb")
    file.write(b"half")
    assert not storage.exists("new")
    power.arm(0, 0)
    with pytest.raises(PowerCut):
        file.close()
    power.restore()
    assert not storage.exists("new")
    with storage.open("new", "wb") as again:
        again.write(b"whole")
    storage.replace("new", "name")
    assert storage.open("name", "rb").read() == b"whole"
    assert not storage.exists("new")


def test_full_storage_refuses_by_number():
    storage = SimStorage(Power())
    storage.is_full = True
    with pytest.raises(OSError) as caught:
        storage.open("new", "wb")
    assert caught.value.errno == errno.ENOSPC
