"""The flash and storage models: bits fall, cuts fall at their byte, files are there or not."""

import errno
from zlib import crc32

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


@pytest.mark.parametrize("is_erased", [True, False])
def test_record_is_durable_when_nothing_is_left_to_program(is_erased):
    """A cut ahead of its last byte, which is 0xFF as erased flash is, or something else."""
    numbers = (number.to_bytes(2, "little") + bytes(26) for number in range(1, 1 << 16))
    whole = (body + crc32(body).to_bytes(4, "little") for body in numbers)
    raw = next(each for each in whole if (each[31] == 0xFF) == is_erased)
    power, told = Power(), []
    flash = SimFlash(2, power)
    flash.told = told.append
    power.arm(0, 970)
    with pytest.raises(PowerCut):
        flash.program(64, raw)
    assert flash.bytes[64:95] == raw[:31]
    assert told == ([raw] if is_erased else [])
    assert [each for _offset, each in flash.records()] == told


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
