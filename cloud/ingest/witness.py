"""Witnesses of where the books stood, outside the database: a retained message and a file beside the archive.

Promises: a database that was set back is noticed at the start of ingest, or
when a device says what it was told; a witness counts only under a key that the
cloud alone has.  A forged one is an alarm, a missing one a reason for recovery
unless no device has ever spoken.

    u32 incarnation | u32 incarnation id | u64 entries | 32 B hash of the last | u64 archive length
      | u64 batches | 16 B MAC
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.ingest import store
from cloud.ingest.inbox import Inbox
from cloud.keys import Vault
from protocols.errors import Fault
from protocols.ids import hex8
from protocols.mac import equal
from protocols.wire import envelope, messages

_BODY = struct.Struct("<IIQ32sQQ")
_MAC = 16
_COUNT = 8
_LABEL = "cloud/head"


class Witness(NamedTuple):
    """Where a school's cloud stood."""

    incarnation: int
    incarnation_id: int
    entry_count: int
    entry_head: bytes
    archive_length: int
    batch_count: int
    """Batches that were committed: what a device was told need not stand in the books."""


class Verdict(NamedTuple):
    """A `reason` for recovery or "", the highest incarnation seen, alarms (kind, detail).

    `is_archive_whole`: every witness stands there, and none of them has seen a longer archive.
    """

    reason: str
    above: int
    alarms: list[tuple[str, str]]
    is_archive_whole: bool


def seal(vault: Vault, school_id: int, witness: Witness) -> bytes:
    """The bytes to keep outside the database."""
    body = _BODY.pack(*witness)
    return body + _mac(vault, school_id, body)


def unseal(vault: Vault, school_id: int, payload: bytes) -> Witness | None:
    """The witness of these bytes, None when this cloud has not written them."""
    body, mac = payload[:-_MAC], payload[-_MAC:]
    if len(body) not in (_BODY.size, _BODY.size - _COUNT) or not equal(_mac(vault, school_id, body), mac):
        return None
    # Those that are older than the count of batches say nothing of it.
    return Witness(*_BODY.unpack(body.ljust(_BODY.size, b"\0")))


def _mac(vault: Vault, school_id: int, body: bytes) -> bytes:
    return vault.mac(_LABEL, school_id.to_bytes(4, "little") + body)[:_MAC]


def path_of(folder: Path, school_id: int) -> Path:
    """The file beside the archive."""
    return folder / f"{hex8(school_id)}.head"


def read(folder: Path, school_id: int) -> bytes | None:
    """What the file says, None when there is none."""
    path = path_of(folder, school_id)
    return path.read_bytes() if path.exists() else None


def write(folder: Path, school_id: int, payload: bytes) -> None:
    """Put a new file in place at once."""
    path = path_of(folder, school_id)
    beside = path.with_suffix(".new")
    beside.write_bytes(payload)
    os.replace(beside, path)


def judge(
    conn: Connection, vault: Vault, school_id: int, own: Witness, found: Sequence[tuple[str, bytes | None]]
) -> Verdict:
    """Compare the database with what stands outside it: (where, payload or None) of each witness."""
    reasons, above, alarms, is_whole = [], 0, [], True
    is_new = not store.has_records(conn, school_id)
    for where, payload in found:
        witness = unseal(vault, school_id, payload) if payload is not None else None
        is_whole = is_whole and witness is not None and witness.archive_length <= own.archive_length
        if payload is None:
            if not is_new:
                reasons.append(f"{where} is missing")
            continue
        if witness is None:
            alarms.append(("witness_forged", where))
            continue
        above = max(above, witness.incarnation)
        reason = _later(conn, school_id, own, witness)
        if reason:
            reasons.append(f"{where}: {reason}")
        if witness.archive_length > own.archive_length:
            alarms.append(("archive_short", f"{where}: {witness.archive_length - own.archive_length} B"))
    return Verdict("; ".join(reasons), above, alarms, is_whole)


def _later(conn: Connection, school_id: int, own: Witness, witness: Witness) -> str:
    """Why the witness has seen more than the database knows, or an empty text."""
    if witness.incarnation < own.incarnation:
        return ""
    if (witness.incarnation, witness.incarnation_id) != (own.incarnation, own.incarnation_id):
        return f"incarnation {witness.incarnation}"
    if witness.entry_count > own.entry_count:
        return f"{witness.entry_count - own.entry_count} entries are lost"
    if witness.entry_count and store.entry_hash(conn, school_id, witness.entry_count) != witness.entry_head:
        return f"entry {witness.entry_count} is another"
    if witness.batch_count > own.batch_count:
        return f"{witness.batch_count - own.batch_count} batches are lost"
    return ""


def untold_books(conn: Connection, inbox: Inbox) -> dict[int, tuple[str, int]]:
    """school_id to (reason, incarnation) where a HELLO knows books that the database does not.

    Only what a device was told by the present incarnation counts: a cloud that
    was restored openly has other entries than the one before it.
    """
    found: dict[int, tuple[str, int]] = {}
    known: dict[tuple[int, int], bytes] = {}
    for message in inbox.checked:
        device = message.device
        is_ours = message.incarnation == (device.incarnation, device.incarnation_id)
        if message.type != envelope.HELLO or not is_ours or device.school_id in found:
            continue
        try:
            books = messages.unpack_hello(message.body).books
        except Fault:
            continue  # it is refused where it is read
        count = int.from_bytes(books[:4], "little")
        place = device.school_id, count
        if not count:
            continue
        if place not in known:
            known[place] = store.entry_hash(conn, *place)
        if known[place][:8] != books[4:]:
            found[device.school_id] = f"{hex8(device.device_id)} knows other books", device.incarnation
    return found
