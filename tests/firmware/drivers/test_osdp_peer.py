"""The OSDP panel against libosdp's reader: the one implementation that others build their readers on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import osdp

from firmware.drivers.osdp import OsdpPanel
from firmware.hal.chip import CARD, DEAD, NOTHING, PENDING, UNTRUSTED
from reader_host.virtual.build import build

KEY = bytes(range(16))
ADDRESS = 3
CARD_EVENT = {
    "event": osdp.Event.CardRead,
    "reader_no": 0,
    "direction": 0,
    "format": osdp.CardFormat.Wiegand,
    "length": 26,
    "data": bytes.fromhex("EA0DC080"),
}


class Wire(osdp.Channel):
    """Two queues of bytes: a channel of libosdp at one end, hal/bus.Serial at the other."""

    def __init__(self):
        super().__init__()
        self.to_reader = bytearray()
        self.to_panel = bytearray()
        self.is_cut = False

    def read(self, max_bytes):
        part = bytes(self.to_reader[:max_bytes])
        del self.to_reader[:max_bytes]
        return part

    def write(self, buf):
        if isinstance(buf, bytearray | memoryview) or not self.is_cut:
            self.to_panel += bytes(buf)
        return len(buf)

    def flush(self):
        """As the reader does between packets."""
        self.to_reader.clear()


class Serial:
    """The panel's end."""

    def __init__(self, wire):
        self.wire = wire

    def write(self, data):
        if not self.wire.is_cut:
            self.wire.to_reader += bytes(data)

    def read_into(self, buffer):
        part = bytes(self.wire.to_panel[: len(buffer)])
        del self.wire.to_panel[: len(part)]
        buffer[: len(part)] = part
        return len(part)


class RealClock:
    def uptime(self):
        return time.monotonic_ns() // 1_000_000

    def uptime_elapsed(self, later, earlier):
        return later - earlier


def reader_on(wire, key, flags=()):
    capabilities = osdp.PDCapabilities(
        [
            (osdp.Capability.CommunicationSecurity, 1, 1),
            (osdp.Capability.CheckCharacter, 1, 1),
            (osdp.Capability.CardDataFormat, 1, 1),
            (osdp.Capability.Readers, 0, 1),
        ]
    )
    about = osdp.PDInfo(ADDRESS, wire, scbk=key, flags=list(flags))
    return osdp.PeripheralDevice(about, capabilities, log_level=osdp.LogLevel.Critical)


class Stand:
    """Panel and reader in turns, in real time."""

    def __init__(self, key, reader_key, flags=(), is_installing=False):
        self.wire = Wire()
        self.reader = reader_on(self.wire, reader_key, flags)
        self.panel = OsdpPanel(
            Serial(self.wire), RealClock(), key, lambda count: bytes(range(count)), ADDRESS, is_installing
        )
        self.results = []

    def until(self, *wanted, limit_s=20):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            self.reader.ctx.refresh()
            result = self.panel.poll()
            if result != PENDING:
                self.results.append(result)
            if result in wanted:
                return result
            time.sleep(0.001)
        raise AssertionError(f"none of {wanted}, but {self.results[-9:]}")


def test_cards_come_from_libosdp_in_a_channel():
    stand = Stand(KEY, KEY, [osdp.LibFlag.EnforceSecure])
    assert stand.until(NOTHING, UNTRUSTED) == NOTHING
    assert stand.reader.is_sc_active()
    for _ in range(5):
        assert stand.reader.ctx.submit_event(CARD_EVENT)
        assert stand.until(CARD, UNTRUSTED, DEAD) == CARD
        assert stand.panel.credential == "w26:D41B81"
        for _ in range(20):
            stand.until(NOTHING)
    assert UNTRUSTED not in stand.results
    assert DEAD not in stand.results


def test_reader_of_libosdp_with_another_key_is_untrusted():
    stand = Stand(KEY, bytes(range(1, 17)), [osdp.LibFlag.EnforceSecure])
    assert stand.until(NOTHING, UNTRUSTED, CARD) == UNTRUSTED


def test_new_reader_of_libosdp_gets_its_key_in_install_mode():
    stand = Stand(KEY, None, [osdp.LibFlag.InstallMode])
    assert stand.until(NOTHING, UNTRUSTED) == UNTRUSTED
    stand.panel = OsdpPanel(
        Serial(stand.wire), RealClock(), KEY, lambda count: bytes(range(count)), ADDRESS, True
    )
    assert stand.until(NOTHING, UNTRUSTED) == NOTHING
    assert stand.reader.ctx.submit_event(CARD_EVENT)
    assert stand.until(CARD, UNTRUSTED) == CARD


def test_cut_line_to_libosdp_is_dead_and_comes_back():
    stand = Stand(KEY, KEY)
    stand.until(NOTHING)
    stand.wire.is_cut = True
    started = time.monotonic()
    assert stand.until(DEAD, UNTRUSTED) == DEAD
    assert time.monotonic() - started < 5
    stand.wire.is_cut = False
    assert stand.until(NOTHING, UNTRUSTED) == NOTHING


PROGRAM = """
import os, select, sys, time
from firmware.drivers.osdp import OsdpPanel

class Line:
    poll = select.poll()
    def write(self, data):
        sys.stdout.buffer.write(data)
    def read_into(self, buffer):
        if not self.poll.poll(0):
            return 0
        return source.readinto(memoryview(buffer)[:1]) or 0

class Ticks:
    def uptime(self):
        return time.ticks_ms()
    def uptime_elapsed(self, later, earlier):
        return time.ticks_diff(later, earlier)

source = open(0, "rb", buffering=0)
Line.poll.register(source, select.POLLIN)
panel = OsdpPanel(Line(), Ticks(), bytes(range(16)), os.urandom, 3)
while True:
    result = panel.poll()
    if result:
        sys.stderr.write("%d %s\\n" % (result, panel.credential))
    time.sleep_ms(1)
"""


def test_panel_on_micropython_reads_from_libosdp(micropython, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    firmware = build(users=[program])
    wire = Wire()
    reader = reader_on(wire, KEY, [osdp.LibFlag.EnforceSecure])
    process = subprocess.Popen(
        [micropython, "-X", "heapsize=256k", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=firmware, env={"MICROPYPATH": str(firmware)}, bufsize=0,
    )  # fmt: skip
    try:
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
        said = b""
        end = time.monotonic() + 20
        is_submitted = False
        while time.monotonic() < end and b"2 w26:D41B81" not in said:
            wire.to_reader += process.stdout.read(512) or b""
            reader.ctx.refresh()
            if wire.to_panel:
                process.stdin.write(bytes(wire.to_panel))
                wire.to_panel.clear()
            said += process.stderr.read(512) or b""
            if not is_submitted and reader.is_sc_active():
                is_submitted = reader.ctx.submit_event(CARD_EVENT)
            time.sleep(0.001)
        assert b"2 w26:D41B81" in said, said[-400:]
        assert process.poll() is None, said
    finally:
        process.kill()
        process.communicate()


def test_libosdp_is_the_only_module_of_its_name():
    # The other package of that name would hide it.
    assert Path(osdp.__file__).with_name("peripheral_device.py").exists()
    assert sys.modules["osdp"] is osdp
