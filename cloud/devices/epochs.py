"""The lives of a device: a new epoch with a new key, a lost device, the release of what it held.

Promises: what a lost holder may still spend stays reserved until an operator
releases it; a release sets money of the purses aside in loss:device, where late
records of that holder are paid from; every change stands in the registry outside
the database before it commits.
"""

import os
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.alarms import service as alarms
from cloud.db import lock_school
from cloud.devices import readers, registry, store
from cloud.devices.broker import password_hash
from cloud.devices.placement import holding, settle
from cloud.devices.readers import Reader
from cloud.devices.settings import money_rules
from cloud.keys import Vault
from protocols.errors import WIRE_EPOCH
from protocols.ids import hex8
from protocols.ledger import record
from protocols.mac import DeviceKeys
from protocols.wire.till import pairing_key

KEY_SIZE = 32
LOSS = "loss:device"
RandomBytes = Callable[[int], bytes]


class EpochRefused(ValueError):
    """This cannot be done with this device now; carries the reason."""


class Released(NamedTuple):
    """`reserved_minor`: what could still be spent there; `set_aside_minor`: what the purses could give."""

    purses: int
    reserved_minor: int
    set_aside_minor: int


def key_context(school_id: int, device_id: int, epoch: int) -> bytes:
    """What a sealed device key is bound to."""
    return f"device/{hex8(school_id)}/{hex8(device_id)}/{epoch}".encode()


def add_epoch(
    conn: Connection,
    vault: Vault,
    school_id: int,
    device_id: int,
    epoch: int,
    *,
    label: str,
    kind: str,
    reader: str = "{}",
    random_bytes: RandomBytes = os.urandom,
) -> dict[str, Any]:
    """Open an epoch with a new key; returns key and broker password, the only copies in clear."""
    key, password = random_bytes(KEY_SIZE), secrets.token_urlsafe(24)
    sealed = vault.seal(key, key_context(school_id, device_id, epoch))
    head_mac = record.genesis(DeviceKeys(key).chain, device_id, epoch)
    broker_hash = password_hash(password)
    incarnation = store.school(conn, school_id).incarnation
    # It holds nothing that an earlier incarnation gave: no recovery waits for it.
    store.add_epoch(conn, school_id, device_id, epoch, sealed, head_mac, broker_hash, incarnation)
    registry.write(
        vault,
        registry.Enrolment(
            school_id,
            device_id,
            epoch,
            label,
            kind,
            sealed.hex(),
            head_mac.hex(),
            broker_hash,
            incarnation,
            reader,
        ),
    )
    return {"key": key.hex(), "password": password}


def new_epoch(
    conn: Connection,
    vault: Vault,
    school_id: int,
    label: str,
    now: int,
    *,
    journal_read: bool = False,
    broker_host: str = "127.0.0.1",
    broker_port: int = 1883,
    world_clock: bool = False,
    reader: Reader | None = None,
    random_bytes: RandomBytes = os.urandom,
) -> dict[str, Any]:
    """The same device again with a new key: returns its provisioning record.

    `reader`: another card reader than it had; card keys are those in force now.

    `journal_read`: a person states that the old journal was read to its end and
    its key is destroyed: the old epoch is closed and its rights return to the
    purses.  Else an open one counts as lost, and what it held stays reserved.
    The tables (publish_tables) are written after it.
    """
    lock_school(conn, school_id)
    device = _device(conn, school_id, label)
    has = reader or readers.kept(store.read_json(device.reader))
    said = readers.text(has)
    status = store.epoch(conn, school_id, device.device_id, device.epoch).status
    if journal_read and status != "closed":
        _set_status(conn, vault, school_id, device, "closed")
    elif status == "open":
        _set_status(conn, vault, school_id, device, "lost")
    # A database that was set back may have forgotten an epoch in which a board lives: no number comes twice.
    known = [line.epoch for line in registry.read(vault, school_id) if line.device_id == device.device_id]
    epoch = 1 + max([device.epoch, *known])
    made = add_epoch(
        conn, vault, school_id, device.device_id, epoch,
        label=label, kind=device.kind, reader=said, random_bytes=random_bytes,
    )  # fmt: skip
    store.begin_epoch(conn, school_id, device.device_id, epoch, said)
    end_recovery(conn, school_id, now)
    return {
        "school": school_id,
        "device": device.device_id,
        "epoch": epoch,
        "kind": device.kind,
        "key": made["key"],
        "reference_key": vault.reference_key(school_id).hex(),
        "broker_host": broker_host,
        "broker_port": broker_port,
        "username": hex8(device.device_id),
        "password": made["password"],
        "world_clock": world_clock,
        **readers.provision(vault, school_id, device.device_id, device.kind, has),
    }


def till_key(conn: Connection, vault: Vault, school_id: int, label: str) -> dict[str, Any]:
    """What a till needs to speak with its line: `device`, `epoch` and `pairing_key` in hex, for its key file.

    EpochRefused for a device that is no canteen line or has no open epoch.
    """
    device = _device(conn, school_id, label)
    if device.kind != "canteen":
        raise EpochRefused(f"{label} is no canteen line: only those have a till")
    epoch = store.epoch(conn, school_id, device.device_id, device.epoch)
    if epoch.status != "open":
        raise EpochRefused(f"epoch {device.epoch} of {label} is {epoch.status}")
    key = vault.open(epoch.key_sealed, key_context(school_id, device.device_id, device.epoch))
    return {"device": device.device_id, "epoch": device.epoch, "pairing_key": pairing_key(key).hex()}


def lost(conn: Connection, vault: Vault, school_id: int, label: str, now: int) -> int:
    """Close the present epoch as lost; returns what stays reserved for it, in minor units."""
    lock_school(conn, school_id)
    device = _device(conn, school_id, label)
    status = store.epoch(conn, school_id, device.device_id, device.epoch).status
    if status not in ("open", "quarantined"):
        raise EpochRefused(f"epoch {device.epoch} of {label} is {status} already")
    _set_status(conn, vault, school_id, device, "lost")
    end_recovery(conn, school_id, now)
    rows = store.rights_of(conn, school_id, device.device_id, device.epoch, record.MONEY)
    return sum(holding(row).out for row in rows)


def release(conn: Connection, vault: Vault, school_id: int, label: str, now: int) -> Released:
    """Set aside what the lost epochs of a device may have spent, and close them.

    What is known to be out; CAP for each purse with any row where the journal
    was not read since the last restore, since more may be out than is known.
    What rights beside these need, of money or of credit beyond L, stays.
    """
    lock_school(conn, school_id)
    device = _device(conn, school_id, label)
    total = Released(0, 0, 0)
    waiting = store.epochs_in(conn, school_id, device.device_id, ("lost", "quarantined"))
    if not waiting:
        raise EpochRefused(f"{label} has no lost epoch")
    for epoch in waiting:
        part = _release(conn, school_id, epoch, now)
        total = Released(*(one + other for one, other in zip(total, part, strict=True)))
        _set_status(conn, vault, school_id, epoch, "closed")
    end_recovery(conn, school_id, now)
    return total


def _release(conn: Connection, school_id: int, epoch: Any, now: int) -> Released:
    school, rules = store.school(conn, school_id), money_rules(conn, school_id)
    is_unread = school.mode == "recovery" or epoch.incarn_seen < school.incarnation
    out: dict[int, int] = {}
    for one in map(holding, store.rights(conn, school_id, record.MONEY)):
        out[one.account_id] = out.get(one.account_id, 0) + one.out
    rows = [
        holding(row) for row in store.rights_of(conn, school_id, epoch.device_id, epoch.epoch, record.MONEY)
    ]
    codes = {one.account_id: accounting.purse(one.account_id) for one in rows}
    balances = accounting.balances(conn, school_id, codes.values())
    uncovered = accounting.uncovered(conn, school_id, codes)
    entries, releases, reserved = [], [], 0
    for one in rows:
        wanted = max(one.out, rules.cap_minor) if is_unread else one.out
        needed = out[one.account_id] - one.out + uncovered.get(one.account_id, 0)
        has = balances[codes[one.account_id]] - needed
        amount = max(0, min(wanted, has))
        reserved += wanted
        if amount:
            key = f"release:{hex8(epoch.device_id)}:{epoch.epoch}:{hex8(one.account_id)}"
            lines = ((codes[one.account_id], -amount), (LOSS, amount))
            reason = "lost device" if not is_unread else "lost device, not read since the restore"
            entries.append(
                accounting.Entry(key, "release", now, lines, epoch.device_id, epoch.epoch, None, reason)
            )
            releases.append((
                school_id, epoch.device_id, epoch.epoch, one.account_id, record.MONEY, amount, 0, now,
            ))  # fmt: skip
    accounting.post(conn, school_id, entries, now)
    store.add_releases(conn, releases)
    return Released(len(releases), reserved, sum(row[5] for row in releases))


def end_recovery(conn: Connection, school_id: int, now: int) -> bool:
    """End the recovery of a school once every open holder's journal was read; True when it ends now."""
    if not store.recovery_is_over(conn, school_id):
        return False
    store.set_mode(conn, school_id, "normal", "")
    # What was repaid and re-rated behind the backup comes before any new grant.
    settle(conn, school_id, now)
    alarms.raise_alarm(conn, school_id, "recovery_over", "every open till's journal is read", now)
    return True


def in_recovery(conn: Connection, school_id: int) -> bool:
    """Whether nothing may be granted or paid out, because it is not known what is out."""
    return bool(store.school(conn, school_id).mode == "recovery")


def note_status(vault: Vault, school_id: int, device_id: int, epoch: int, status: str) -> None:
    """Write a change of an epoch into the registry."""
    registry.write(vault, registry.StatusChange(school_id, device_id, epoch, status))


def read_registry(conn: Connection, vault: Vault, school_id: int) -> int:
    """Bring a restored database to the registry: epochs it never saw, states it forgot; returns how many."""
    changes = 0
    for line in registry.read(vault, school_id):
        known = store.epoch(conn, school_id, line.device_id, line.epoch)
        if isinstance(line, registry.StatusChange):
            # A release that the restored books do not know must be decided again: until then it is reserved.
            is_unreleased = (
                line.status == "closed" and known is not None and known.status in ("lost", "quarantined")
            )
            # What these books know to be closed and released stays so, whatever line came before that.
            is_over = known is not None and known.status == "closed"
            if known is not None and known.status != line.status and not (is_unreleased or is_over):
                reason = known.lock_reason or WIRE_EPOCH
                store.set_epoch_status(conn, school_id, line.device_id, line.epoch, line.status, reason)
                changes += 1
        elif known is None:
            _add_again(conn, line)
            changes += 1
    return changes


def highest_enrolled(vault: Vault, school_id: int) -> int:
    """The highest incarnation in which the registry saw a device enrolled; 0 when none was."""
    lines = registry.read(vault, school_id)
    return max((line.incarnation for line in lines if isinstance(line, registry.Enrolment)), default=0)


def _add_again(conn: Connection, line: registry.Enrolment) -> None:
    place = line.school_id, line.device_id
    present = store.present_epoch(conn, *place)
    if not present:
        label = line.label
        while label in store.labels(conn, line.school_id):
            label += "'"
        store.add_device(conn, *place, label, line.kind, line.reader)
    sealed, head_mac = bytes.fromhex(line.key_sealed), bytes.fromhex(line.head_mac)
    store.add_epoch(conn, *place, line.epoch, sealed, head_mac, line.broker_hash, line.incarnation)
    # A database that was set back may have opened a later epoch before anybody knew that it was.
    newest = max(present, line.epoch)
    for one in store.epochs_in(conn, *place, ("open",)):
        if one.epoch < newest:
            store.set_epoch_status(conn, *place, one.epoch, "lost", WIRE_EPOCH)
    if newest == line.epoch:
        store.begin_epoch(conn, *place, line.epoch, line.reader)


def _device(conn: Connection, school_id: int, label: str) -> Any:
    device = store.device_by_label(conn, school_id, label)
    if device is None:
        raise EpochRefused(f"there is no device {label}")
    return device


def _set_status(conn: Connection, vault: Vault, school_id: int, epoch: Any, status: str) -> None:
    """Of the row of a device or an epoch."""
    reason = WIRE_EPOCH
    note_status(vault, school_id, epoch.device_id, epoch.epoch, status)
    store.set_epoch_status(conn, school_id, epoch.device_id, epoch.epoch, status, reason)
