"""`klasskart desk` as a process: what it prints and keeps, and that two never share a folder."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fixtures.components import wait_until
from tests.reader_host.desk.parts import TOKEN, keys_text

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(memory: Path) -> Iterator[Start]:
    """Starts the command on a folder; what still runs after the test is ended."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "scripts/klasskart.py",
            "desk",
            "--folder",
            str(memory / "desk"),
            *arguments,
        ]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        )
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def given(folder: Path) -> str:
    path = folder / "given.json"
    path.write_text(keys_text(token=TOKEN))
    return str(path)


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("Card desk: http://127.0.0.1:"), line
    return line.removeprefix("Card desk: ").strip()


def test_desk_starts_stops_and_starts_again_without_the_file(memory: Path, start: Start):
    first = start("--keys", given(memory), "--cloud", "http://127.0.0.1:9")
    address = urlsplit(address_of(first))
    asked = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    asked.request("GET", f"{address.path}?{address.query}")
    page = asked.getresponse()
    assert page.status == 200
    assert "Положите карту" in (text := page.read().decode()) or "Считыватель не подключён" in text
    asked.close()
    with open(f"/proc/{first.pid}/cmdline") as told, open(f"/proc/{first.pid}/environ") as surroundings:
        assert TOKEN not in told.read() + surroundings.read()
    second = start()
    assert second.wait(60) == 1
    assert second.stdout
    assert "another desk runs on" in second.stdout.read()
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert first.stdout
    rest = first.stdout.read()
    assert "Stopped." in rest
    assert TOKEN not in rest
    (memory / "given.json").unlink()
    third = start()
    assert address_of(third)
    for path in (memory / "desk").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_desk_without_keys_says_what_is_missing(start: Start):
    process = start()
    assert process.wait(60) == 1
    assert process.stdout
    assert "--keys FILE" in process.stdout.read()


def test_token_is_not_sent_to_a_cloud_without_tls(memory: Path, start: Start):
    process = start("--keys", given(memory), "--cloud", "http://cloud.example")
    assert process.wait(60) == 1
    assert process.stdout
    assert "must begin with https://" in process.stdout.read()


def test_listens_on_loopback_alone(memory: Path, start: Start):
    port = urlsplit(address_of(start("--keys", given(memory)))).port
    with open("/proc/net/tcp") as table:
        listening = [line.split()[1] for line in table.readlines()[1:] if line.split()[3] == "0A"]
    assert [each for each in listening if each.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
    assert os.path.exists(memory / "desk" / "desk.db")
    wait_until((memory / "desk" / "keys.sealed").exists, "the sealed keys")
