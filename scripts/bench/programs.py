"""Programs of scripts/bench/chip: an interpreter runs one, and it prints its figures as one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from scripts.bench.report import BenchError

_TIMEOUT_S = 900


def outcome_of(what: str, command: list[str], *, folder: Path, paths: dict[str, str]) -> dict[str, Any]:
    """The figures on the last line; BenchError names `what` when it failed.

    `folder`: to work in, one without sources for MicroPython, which looks there first; `paths`: where
    the interpreter finds modules, by the name of the variable.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise BenchError(f"{what}: {(done.stderr or done.stdout).strip()}")
    outcome: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return outcome
