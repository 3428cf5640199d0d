"""The supervisor with real processes: the dead start again, a stop leaves none, none outlives it."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.play.supervisor import ProcessChild, Supervisor

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 20
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def is_running(pid):
    """Whether a process of that number lives (one that waits to be collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    keeper = Supervisor(tmp_path / "run", say=said.append)
    yield keeper
    keeper.stop(grace_s=0)


def child(tmp_path, name="sleeper", command=SLEEPER):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return ProcessChild(name, command, log=tmp_path / "logs" / f"{name}.log", environment=environment)


def test_killed_child_starts_again(tmp_path, supervisor, said):
    sleeper = child(tmp_path)
    supervisor.start(sleeper)
    first = int((tmp_path / "run/sleeper.pid").read_text())
    os.kill(first, signal.SIGKILL)

    def is_back():
        supervisor.tick()
        return supervisor.restarts.get("sleeper") and sleeper.alive()

    until(is_back)
    assert int((tmp_path / "run/sleeper.pid").read_text()) == sleeper.pid != first
    assert said == ["sleeper has ended unexpectedly and is started again"]


def test_pause_grows_for_the_hopeless(tmp_path, said):
    """A child that dies at once is not started in a tight loop."""
    now = [0.0]
    keeper = Supervisor(tmp_path / "run", say=said.append, clock=lambda: now[0])
    starts = []

    class Hopeless:
        name, pid = "hopeless", 1

        def start(self):
            starts.append(now[0])

        def alive(self):
            return False

        ask_to_stop = kill = start

    keeper.start(Hopeless())
    while now[0] < 12:
        now[0] += 0.01
        keeper.tick()
    gaps = [after - before for before, after in pairwise(starts)]
    assert gaps == sorted(gaps)
    assert 5 <= gaps[-1] < 5.1


def test_stop_leaves_no_process(tmp_path, supervisor):
    """Also one that does not listen to a request."""
    stubborn = child(tmp_path, "stubborn", STUBBORN)
    supervisor.start(child(tmp_path))
    supervisor.start(stubborn)
    until(lambda: "up" in stubborn.log.read_text())
    pids = [int(path.read_text()) for path in (tmp_path / "run").glob("*.pid")]
    supervisor.stop(grace_s=0.2)
    assert not any(is_running(pid) for pid in pids)
    assert not list((tmp_path / "run").glob("*.pid"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the leash is the Linux kernel's")
def test_stop_ends_after_an_unlucky_signal(tmp_path, supervisor):
    """A signal whose handler raises may leave Popen's lock behind; a plain wait() would then hang."""
    child = ProcessChild("one", STUBBORN, log=tmp_path / "log", environment=dict(os.environ))
    supervisor.start(child)
    pid = child.pid
    child._process._waitpid_lock.acquire()
    supervisor.stop(grace_s=0.1)
    assert not is_running(pid)


def test_children_die_with_killed_supervisor(tmp_path):
    """A supervisor that is killed outright can not stop anything: the kernel does."""
    program = (
        "import os, sys, time; from pathlib import Path; from scripts.play.supervisor import *\n"
        "folder = Path(sys.argv[1])\n"
        "keeper = Supervisor(folder / 'run', say=print)\n"
        "keeper.start(ProcessChild('sleeper', [sys.executable, '-c', 'import time; time.sleep(600)'],"
        " log=folder / 'log', environment=dict(os.environ)))\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment) as parent:
        pid_file = tmp_path / "run/sleeper.pid"
        until(lambda: pid_file.exists() and pid_file.read_text().strip())
        pid = int(pid_file.read_text())
        until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes())
        assert is_running(pid)
        parent.kill()
    until(lambda: not is_running(pid))
