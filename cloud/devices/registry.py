"""The registry of enrolments, outside the database: which device has which key in which epoch.

Promises: a line is on the disk before its transaction commits; keys stand in it
sealed; a restored database learns from it the devices and epochs that it never
saw, and which of them were closed.  Leaves its backup to the backup of the keys.
"""

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from cloud.keys import Vault

FILE_NAME = "registry.jsonl"


class Enrolment(NamedTuple):
    """A new epoch of a device.

    `key_sealed`, `head_mac` in hex; `incarnation`: of the school then; `reader`: its card reader as JSON.
    """

    school_id: int
    device_id: int
    epoch: int
    label: str
    kind: str
    key_sealed: str
    head_mac: str
    broker_hash: str
    incarnation: int
    reader: str = "{}"


class StatusChange(NamedTuple):
    """What became of an epoch: open, closed, lost or quarantined."""

    school_id: int
    device_id: int
    epoch: int
    status: str


def write(vault: Vault, line: Enrolment | StatusChange) -> None:
    """Append one line and wait for the disk."""
    handle = os.open(vault.folder / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, (json.dumps(line._asdict(), sort_keys=True) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(vault: Vault, school_id: int) -> Iterator[Enrolment | StatusChange]:
    """Every line of a school in the order of time; a torn line is passed over."""
    path = vault.folder / FILE_NAME
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        line = _parse(text)
        if line is not None and line.school_id == school_id:
            yield line


def _parse(text: str) -> Enrolment | StatusChange | None:
    try:
        fields: dict[str, Any] = json.loads(text)
        return StatusChange(**fields) if "status" in fields else Enrolment(**fields)
    except (ValueError, TypeError):
        return None
