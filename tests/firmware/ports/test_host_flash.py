"""The flash of a virtual board behaves as NOR flash does, and outlives the process that wrote it."""

import pytest

from firmware.ports.host_flash import SECTOR, Blocks, FileFlash, make_blank
from protocols.errors import FLASH_ERASE, FLASH_WRITE, STORAGE_MISSING, Fault
from protocols.ledger import record
from protocols.ledger.journal import Journal
from protocols.mac import DeviceKeys


@pytest.fixture
def flash(tmp_path):
    path = str(tmp_path / "flash.bin")
    make_blank(path, 4 * SECTOR)
    chip = FileFlash(path)
    yield chip
    chip.close()


def read(flash, offset, size):
    buffer = bytearray(size)
    flash.read_into(offset, buffer)
    return bytes(buffer)


def test_new_flash_is_erased(flash):
    assert flash.size == 4 * SECTOR
    assert read(flash, 0, flash.size) == b"\xff" * flash.size


def test_programming_clears_bits_only(flash):
    flash.program(100, b"\xf0\x0f")
    flash.program(100, b"\x70\x0f")
    assert read(flash, 99, 4) == b"\xff\x70\x0f\xff"
    with pytest.raises(Fault) as caught:
        flash.program(100, b"\xf0\x0f")
    assert caught.value.code == FLASH_WRITE
    assert read(flash, 100, 2) == b"\x70\x0f"


def test_long_programs_cross_pages(flash):
    data = bytes(range(256)) * 3
    flash.program(200, data)
    assert read(flash, 200, len(data)) == data


def test_erase_sets_one_sector(flash):
    flash.program(0, bytes(3 * SECTOR))
    flash.erase(1)
    assert read(flash, 0, SECTOR) == bytes(SECTOR)
    assert read(flash, SECTOR, SECTOR) == b"\xff" * SECTOR
    assert read(flash, 2 * SECTOR, SECTOR) == bytes(SECTOR)
    assert (flash.programs, flash.erases) == (1, 1)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (lambda flash: flash.erase(4), FLASH_ERASE),
        (lambda flash: flash.erase(-1), FLASH_ERASE),
        (lambda flash: flash.program(4 * SECTOR - 1, b"\x00\x00"), FLASH_WRITE),
        (lambda flash: flash.read_into(-1, bytearray(1)), FLASH_WRITE),
    ],
)
def test_outside_of_the_flash_is_a_fault(flash, action, code):
    with pytest.raises(Fault) as caught:
        action(flash)
    assert caught.value.code == code


def test_missing_flash_is_a_fault(tmp_path):
    with pytest.raises(Fault) as caught:
        FileFlash(str(tmp_path / "none.bin"))
    assert caught.value.code == STORAGE_MISSING


def test_odd_size_is_refused(tmp_path):
    with pytest.raises(Fault):
        make_blank(str(tmp_path / "flash.bin"), SECTOR + 1)


def test_block_device_counts_its_reads(flash):
    blocks = Blocks(flash)
    assert (blocks.ioctl(4, 0), blocks.ioctl(5, 0), blocks.ioctl(3, 0)) == (4, SECTOR, 0)
    blocks.writeblocks(2, b"\x01\x02", 10)
    buffer = bytearray(2)
    blocks.readblocks(2, buffer, 10)
    assert (bytes(buffer), blocks.reads) == (b"\x01\x02", 1)
    blocks.ioctl(6, 2)
    blocks.readblocks(2, buffer, 10)
    assert bytes(buffer) == b"\xff\xff"


def test_journal_stands_in_the_file(tmp_path):
    path = str(tmp_path / "flash.bin")
    make_blank(path, 4 * SECTOR)
    keys = DeviceKeys(bytes(32))
    chip, after_the_kill = FileFlash(path), FileFlash(path)
    first = Journal(chip, keys.chain, 2, 1)
    first.open()
    for account in range(200):
        first.append(record.NOTE, 0, 20000, 5, account, 0, 0)
    # The first one is not closed: a killed interpreter closes nothing either.
    second = Journal(after_the_kill, keys.chain, 2, 1)
    second.open()
    assert (second.next_seq, second.head_mac) == (201, first.head_mac)
    chip.close()
    after_the_kill.close()
