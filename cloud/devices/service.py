"""Devices: registering them, what they shall know, how they are.

Promises: a key leaves the cloud once, in the provisioning record, and is kept
sealed; bad messages are counted by device and refusal number.  Tables and
settings are left as work for ingest in the caller's transaction.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.devices import placement, readers, store
from cloud.devices.broker import broker_files
from cloud.devices.calendar import calendar, day_of
from cloud.devices.calendar import schools_to_extend as calendars_end
from cloud.devices.epochs import (
    EpochRefused,
    Released,
    add_epoch,
    end_recovery,
    highest_enrolled,
    in_recovery,
    key_context,
    lost,
    new_epoch,
    note_status,
    read_registry,
    release,
    till_key,
)
from cloud.devices.placement import cards_ended, lossy, replace_tables
from cloud.devices.readers import KINDS as READER_KINDS
from cloud.devices.readers import Reader, asks_for_proof
from cloud.devices.readers import kept as reader_of
from cloud.devices.registry import FILE_NAME as REGISTRY_FILE
from cloud.devices.remote import (
    LIFE_S,
    WIRE_KINDS,
    Asked,
    Obeyed,
    command,
    commands_of,
    confirm_day,
    day_confirmed,
    due,
    give_up,
    obeyed,
    were_sent,
)
from cloud.devices.settings import (
    KINDS,
    MoneyRules,
    benefit_minor,
    extend_calendars,
    keep_prices,
    money_rules,
    publish_settings,
    schools_with_new_prices,
    set_settings,
    settings_for,
    tell_new_prices,
)
from cloud.keys import Vault
from protocols.errors import name as refusal_name
from protocols.ids import hex8, random_id
from protocols.ledger.record import MONEY

__all__ = [
    "LIFE_S",
    "READER_KINDS",
    "REGISTRY_FILE",
    "WIRE_KINDS",
    "Asked",
    "EpochRefused",
    "MoneyRules",
    "Obeyed",
    "Reader",
    "Released",
    "asks_for_proof",
    "benefit_minor",
    "broker_files",
    "calendar",
    "calendars_end",
    "cards_ended",
    "command",
    "commands_of",
    "confirm_day",
    "day_confirmed",
    "day_of",
    "due",
    "end_recovery",
    "extend_calendars",
    "give_up",
    "highest_enrolled",
    "in_recovery",
    "keep_prices",
    "key_context",
    "lossy",
    "lost",
    "money_rules",
    "new_epoch",
    "note_status",
    "obeyed",
    "publish_settings",
    "read_registry",
    "reader_of",
    "release",
    "replace_tables",
    "schools_with_new_prices",
    "set_settings",
    "settings_for",
    "tell_new_prices",
    "till_key",
    "were_sent",
]

RandomBytes = Callable[[int], bytes]


class DeviceRefused(ValueError):
    """A device cannot be registered; carries the reason."""


class FleetRow(NamedTuple):
    """A device as the office sees it.

    `unsent`: records that wait on the device by its last HELLO, None before one;
    `table_wanted`, `settings_wanted`: versions it should have.  `state`: what the
    last HELLO said (next_seq, acked, oldest_seq, heap_free, locked), and when this boot
    was heard of first (booted_at).
    """

    device_id: int
    label: str
    kind: str
    epoch: int
    status: str
    online: bool
    last_seen_at: int | None
    table_version: int
    table_wanted: int
    settings_version: int
    settings_wanted: int
    unsent: int | None
    state: dict[str, Any]


class Holder(NamedTuple):
    """A device that may spend from a purse: `rights` as far as is known, `out` what is reserved for it.

    `askable`: its epoch is the present one, so that a recall can reach it.
    """

    device_id: int
    label: str
    status: str
    online: bool
    last_seen_at: int | None
    askable: bool
    rights: int
    out: int


@dataclass(frozen=True)
class RefusalRow:
    """Bad messages of one device (0: of devices nobody knows) under one refusal number."""

    device_id: int
    label: str
    code: int
    name: str
    count: int
    last_at: int


def register(
    conn: Connection,
    vault: Vault,
    school_id: int,
    label: str,
    kind: str,
    now: int,
    *,
    broker_host: str = "127.0.0.1",
    broker_port: int = 1883,
    world_clock: bool = False,
    reader: Reader | None = None,
    random_bytes: RandomBytes = os.urandom,
) -> dict[str, Any]:
    """A new device in epoch 1; returns its provisioning record, the only copy of its key in clear.

    `reader`: its card reader; one that can ask for proof gets the keys of its role.
    DeviceRefused for an unknown kind or a label that is taken.  The broker's
    files (broker_files) and the tables (publish_tables) are written after it.
    """
    if kind not in KINDS:
        raise DeviceRefused(f"kind is one of {', '.join(KINDS)}")
    if not label.strip() or label in store.labels(conn, school_id):
        raise DeviceRefused("label is empty or taken")
    taken = store.device_ids(conn)
    device_id = random_id(random_bytes)
    while device_id in taken:
        device_id = random_id(random_bytes)
    said = readers.text(reader)
    store.add_device(conn, school_id, device_id, label, kind, said)
    made = add_epoch(
        conn, vault, school_id, device_id, 1, label=label, kind=kind, reader=said, random_bytes=random_bytes
    )
    if not store.school(conn, school_id).settings_version:
        publish_settings(conn, school_id, now)
    return {
        "school": school_id,
        "device": device_id,
        "epoch": 1,
        "kind": kind,
        "key": made["key"],
        "reference_key": vault.reference_key(school_id).hex(),
        "broker_host": broker_host,
        "broker_port": broker_port,
        "username": hex8(device_id),
        "password": made["password"],
        "world_clock": world_clock,
        **readers.provision(vault, school_id, device_id, kind, reader),
    }


def publish_tables(conn: Connection, vault: Vault, school_id: int, now: int) -> int:
    """Place the money of a school and give every device a new table; returns the version.

    `vault`: rows carry references that were made when cards were issued; a
    second reference key (SECURITY, hole 2) will be applied here.
    """
    del vault
    return placement.publish_tables(conn, school_id, now)


def publish_ended(conn: Connection, vault: Vault, now: int) -> list[int]:
    """New tables for each school in which a temporary card has ended since the last; returns the schools."""
    del vault
    return placement.publish_ended(conn, now)


def offer_rights(conn: Connection, school_id: int, account_ids: Sequence[int], now: int) -> None:
    """Money or meal credit is free again here: ingest grants it to the home tills when they are online.

    Before the first table nothing is offered, since the table will place it.
    """
    if account_ids and store.school(conn, school_id).table_version:
        placement.offer(conn, school_id, account_ids, now)


def repay(conn: Connection, school_id: int, account_ids: Collection[int], now: int) -> None:
    """Repay what these accounts owe for meals as far as their money is free, and offer what became free."""
    if account_ids:
        offer_rights(conn, school_id, accounting.repay(conn, school_id, now, account_ids), now)


def holders(conn: Connection, school_id: int, account_id: int) -> list[Holder]:
    """Every holder that has, or may have, money rights of a purse, by label."""
    made = []
    for row in store.rights_of_account(conn, school_id, account_id, MONEY):
        one = placement.holding(row)
        is_present = row.status == "open" and row.epoch == row.present_epoch
        is_online = bool(row.online) and is_present
        made.append(
            Holder(
                one.device_id,
                row.label,
                row.status,
                is_online,
                row.last_seen_at,
                is_present,
                one.rights,
                one.out,
            )
        )
    return made


def recall_rights(
    conn: Connection, school_id: int, device_ids: Sequence[int], account_id: int, now: int
) -> None:
    """A payout needs money that these tills hold: ingest recalls it when they are online.

    How much is decided then.  Where a recall waits already, nothing is added.
    """
    waiting = store.recalls_waiting(conn, school_id)
    fresh = [device_id for device_id in device_ids if (device_id, account_id) not in waiting]
    store.add_downlinks(conn, school_id, fresh, "recall", {"account": account_id}, now)


def fleet(conn: Connection, school_id: int) -> list[FleetRow]:
    """All devices of a school by label."""
    return [_fleet_row(row) for row in store.fleet(conn, school_id)]


def _fleet_row(row: Any) -> FleetRow:
    state = store.read_json(row.state)
    unsent = None if "next_seq" not in state else max(0, state["next_seq"] - row.next_seq)
    return FleetRow(
        row.device_id, row.label, row.kind, row.epoch, row.status or "", bool(row.online), row.last_seen_at,
        row.table_version, row.table_wanted, row.settings_version, row.settings_wanted, unsent, state,
    )  # fmt: skip


def count_refusals(conn: Connection, counts: Mapping[tuple[int, int, int], int], now: int) -> None:
    """Add bad messages: (school_id, device_id, refusal number) to how many."""
    store.add_refusals(conn, [(*key, number, now) for key, number in sorted(counts.items())])


def refusals(conn: Connection, school_id: int) -> list[RefusalRow]:
    """Bad messages of a school, the latest first."""
    return [
        RefusalRow(row.device_id, row.label or "", row.code, refusal_name(row.code), row.number, row.last_at)
        for row in store.refusals(conn, school_id)
    ]
