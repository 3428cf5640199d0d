"""SQL of the devices: keys, tables, rights, counters of bad messages, work for ingest.

Leaves every rule to the other files of this folder.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db

_COMMAND = (
    "school_id", "device_id", "epoch", "number", "kind", "argument", "who", "reason", "asked_at",
    "expires_at", "due_at",
)  # fmt: skip
_OBEYED = (
    "UPDATE device_command SET outcome = 'obeyed', settled_at = ?, seq = ?"
    " WHERE school_id = ? AND device_id = ? AND epoch = ?"
)


def add_device(
    conn: Connection, school_id: int, device_id: int, label: str, kind: str, reader: str = "{}"
) -> None:
    """A new device in epoch 1; `reader`: as JSON."""
    columns = ("school_id", "device_id", "label", "kind", "epoch", "reader")
    bulk.insert_rows(conn, db.device, [(school_id, device_id, label, kind, 1, reader)], columns)


def add_epoch(
    conn: Connection,
    school_id: int,
    device_id: int,
    epoch: int,
    sealed: bytes,
    head_mac: bytes,
    broker_hash: str,
    incarnation: int,
) -> None:
    """The open epoch of a device, with its journal empty; `incarnation`: of the school then."""
    columns = (
        "school_id", "device_id", "epoch", "key_sealed", "next_seq", "head_mac", "broker_hash", "incarn_seen",
        "table_incarn",
    )  # fmt: skip
    row = (school_id, device_id, epoch, sealed, 1, head_mac, broker_hash, incarnation, incarnation)
    bulk.insert_rows(conn, db.device_epoch, [row], columns)


def begin_epoch(conn: Connection, school_id: int, device_id: int, epoch: int, reader: str) -> None:
    """The device has a new epoch and this reader: it has applied nothing, what the old one had is dropped."""
    place = (school_id, device_id)
    statement = (
        "UPDATE device SET epoch = ?, table_version = 0, settings_version = 0, state = ?, reader = ?"
        " WHERE school_id = ? AND device_id = ?"
    )
    bulk.run(conn, statement, (epoch, "{}", reader, *place))
    bulk.run(conn, "DELETE FROM device_table WHERE school_id = ? AND device_id = ?", place)


def epoch(conn: Connection, school_id: int, device_id: int, epoch: int) -> Any:
    """The row of an epoch, None when there is none."""
    statement = "SELECT * FROM device_epoch WHERE school_id = ? AND device_id = ? AND epoch = ?"
    rows = bulk.select(conn, statement, (school_id, device_id, epoch))
    return rows[0] if rows else None


def epochs_in(conn: Connection, school_id: int, device_id: int, statuses: tuple[str, ...]) -> Sequence[Any]:
    """The epochs of a device that are in one of these states, the first one first."""
    statement = (
        "SELECT * FROM device_epoch WHERE school_id = ? AND device_id = ? AND status IN ? ORDER BY epoch"
    )
    return bulk.select(conn, statement, (school_id, device_id, list(statuses)))


def set_epoch_status(
    conn: Connection, school_id: int, device_id: int, epoch: int, status: str, lock_reason: int
) -> None:
    """The state of an epoch, and why its device must lock itself."""
    statement = (
        "UPDATE device_epoch SET status = ?, lock_reason = ?"
        " WHERE school_id = ? AND device_id = ? AND epoch = ?"
    )
    bulk.run(conn, statement, (status, lock_reason, school_id, device_id, epoch))


def device_by_label(conn: Connection, school_id: int, label: str) -> Any:
    """device_id, label, kind, epoch, reader of a device, None when there is none."""
    statement = "SELECT device_id, label, kind, epoch, reader FROM device WHERE school_id = ? AND label = ?"
    rows = bulk.select(conn, statement, (school_id, label))
    return rows[0] if rows else None


def present_epoch(conn: Connection, school_id: int, device_id: int) -> int:
    """The epoch in which a device is now; 0 when the school has no such device."""
    statement = "SELECT epoch FROM device WHERE school_id = ? AND device_id = ?"
    rows = bulk.select(conn, statement, (school_id, device_id))
    return int(rows[0][0]) if rows else 0


def rights_of(conn: Connection, school_id: int, device_id: int, epoch: int, bucket: int) -> Sequence[Any]:
    """Counters of one holder, whatever became of it."""
    statement = (
        "SELECT * FROM spending_right WHERE school_id = ? AND device_id = ? AND epoch = ? AND bucket = ?"
        " ORDER BY account_id"
    )
    return bulk.select(conn, statement, (school_id, device_id, epoch, bucket))


def add_releases(conn: Connection, rows: bulk.Rows) -> None:
    """Rows in the order of the table right_release."""
    bulk.insert_rows(conn, db.right_release, rows)


def recovery_is_over(conn: Connection, school_id: int) -> bool:
    """Whether a school in recovery has read every open till up to a table that this incarnation gave it.

    Not only to the record of the incarnation: a till takes a total of its table over at a card's first tap,
    and a table of a life that is forgotten holds totals that nobody knows.
    """
    statement = (
        "SELECT 1 FROM school s WHERE s.school_id = ? AND s.mode = 'recovery' AND NOT EXISTS"
        " (SELECT 1 FROM device d JOIN device_epoch e ON e.school_id = d.school_id"
        " AND e.device_id = d.device_id AND e.epoch = d.epoch WHERE d.school_id = s.school_id"
        " AND d.kind = 'canteen' AND e.status = 'open' AND e.table_incarn < s.incarnation)"
    )
    return bool(bulk.select(conn, statement, (school_id,)))


def set_mode(conn: Connection, school_id: int, mode: str, reason: str) -> None:
    """normal or recovery, and why."""
    statement = "UPDATE school SET mode = ?, recovery_reason = ? WHERE school_id = ?"
    bulk.run(conn, statement, (mode, reason, school_id))


def device_ids(conn: Connection) -> set[int]:
    """The numbers of all devices of this cloud."""
    return {row[0] for row in bulk.select(conn, "SELECT device_id FROM device")}


def labels(conn: Connection, school_id: int) -> set[str]:
    """The labels that devices of a school have."""
    return {row[0] for row in bulk.select(conn, "SELECT label FROM device WHERE school_id = ?", (school_id,))}


def open_devices(conn: Connection, school_id: int) -> Sequence[Any]:
    """device_id, label, kind, epoch, reader of every device whose epoch is open."""
    statement = (
        "SELECT d.device_id, d.label, d.kind, d.epoch, d.reader FROM device d JOIN device_epoch e"
        " ON e.school_id = d.school_id AND e.device_id = d.device_id AND e.epoch = d.epoch"
        " WHERE d.school_id = ? AND e.status = 'open' ORDER BY d.label"
    )
    return bulk.select(conn, statement, (school_id,))


def fleet(conn: Connection, school_id: int) -> Sequence[Any]:
    """Every device with its open or last epoch and the versions it should have."""
    statement = (
        "SELECT d.*, e.next_seq, e.status, s.settings_version AS settings_wanted,"
        " coalesce((SELECT max(t.version) FROM device_table t WHERE t.school_id = d.school_id"
        " AND t.device_id = d.device_id), 0) AS table_wanted"
        " FROM device d JOIN school s ON s.school_id = d.school_id LEFT JOIN device_epoch e"
        " ON e.school_id = d.school_id AND e.device_id = d.device_id AND e.epoch = d.epoch"
        " WHERE d.school_id = ? ORDER BY d.label"
    )
    return bulk.select(conn, statement, (school_id,))


def broker_logins(conn: Connection) -> Sequence[Any]:
    """school_id, device_id, broker_hash of every open epoch in the cloud."""
    statement = (
        "SELECT d.school_id, d.device_id, e.broker_hash FROM device d JOIN device_epoch e"
        " ON e.school_id = d.school_id AND e.device_id = d.device_id AND e.epoch = d.epoch"
        " WHERE e.status = 'open' ORDER BY d.school_id, d.device_id"
    )
    return bulk.select(conn, statement)


def school(conn: Connection, school_id: int) -> Any:
    """The row of a school, None when there is none."""
    rows = bulk.select(conn, "SELECT * FROM school WHERE school_id = ?", (school_id,))
    return rows[0] if rows else None


def schools(conn: Connection) -> Sequence[Any]:
    """school_id, time_zone, settings, settings_version of every school."""
    statement = "SELECT school_id, time_zone, settings, settings_version FROM school ORDER BY school_id"
    return bulk.select(conn, statement)


def first_record_at(conn: Connection, school_id: int) -> int | None:
    """When the first record of a school was received, UTC seconds."""
    statement = "SELECT min(received_at) FROM record WHERE school_id = ?"
    found = bulk.select(conn, statement, (school_id,))[0][0]
    return None if found is None else int(found)


def set_settings(conn: Connection, school_id: int, settings: Mapping[str, Any], version: int) -> None:
    """Write the school's settings and their version."""
    statement = "UPDATE school SET settings = ?, settings_version = ? WHERE school_id = ?"
    bulk.run(conn, statement, (json.dumps(settings, sort_keys=True), version, school_id))


def add_prices(conn: Connection, rows: bulk.Rows) -> None:
    """Prices that devices may sell at from now on: rows of published_price."""
    keys = ("school_id", "good_id", "price_minor")
    bulk.merge_rows(conn, db.published_price, rows, keys, "published_at = published_price.published_at")


def next_table_version(conn: Connection, school_id: int) -> int:
    """Count the school's tables up by one and return the number."""
    bulk.run(conn, "UPDATE school SET table_version = table_version + 1 WHERE school_id = ?", (school_id,))
    return int(bulk.select(conn, "SELECT table_version FROM school WHERE school_id = ?", (school_id,))[0][0])


def rights(conn: Connection, school_id: int, bucket: int) -> Sequence[Any]:
    """Counters of every holder that may still spend, with the status of its epoch."""
    statement = (
        "SELECT r.*, e.status FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE r.school_id = ? AND r.bucket = ? AND e.status <> 'closed'"
    )
    return bulk.select(conn, statement, (school_id, bucket))


def rights_between(conn: Connection, school_id: int, first: int, last: int) -> Sequence[Any]:
    """Counters under buckets first..last of every holder, also of those that are closed."""
    statement = (
        "SELECT r.*, e.status FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE r.school_id = ? AND r.bucket BETWEEN ? AND ?"
    )
    return bulk.select(conn, statement, (school_id, first, last))


def rights_of_account(conn: Connection, school_id: int, account_id: int, bucket: int) -> Sequence[Any]:
    """As `rights`, of one account, with label, online, last_seen_at and present epoch of each device."""
    statement = (
        "SELECT r.*, e.status, d.label, d.online, d.last_seen_at, d.epoch AS present_epoch"
        " FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " JOIN device d ON d.school_id = r.school_id AND d.device_id = r.device_id"
        " WHERE r.school_id = ? AND r.account_id = ? AND r.bucket = ? AND e.status <> 'closed'"
        " ORDER BY d.label, r.epoch"
    )
    return bulk.select(conn, statement, (school_id, account_id, bucket))


def recalls_waiting(conn: Connection, school_id: int) -> set[tuple[int, int]]:
    """(device_id, account_id) of every recall that ingest has not sent yet."""
    statement = (
        "SELECT device_id, detail FROM downlink WHERE school_id = ? AND kind = 'recall' AND done_at IS NULL"
    )
    return {(row[0], read_json(row[1])["account"]) for row in bulk.select(conn, statement, (school_id,))}


def place_rights(conn: Connection, rows: bulk.Rows) -> None:
    """Write G totals: (school_id, device_id, epoch, account_id, bucket, granted, tabled)."""
    statement = (
        "INSERT INTO spending_right (school_id, device_id, epoch, account_id, bucket, granted, tabled)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (school_id, device_id, epoch, account_id, bucket)"
        " DO UPDATE SET granted = excluded.granted, tabled = excluded.tabled"
    )
    bulk.run_many(conn, statement, rows)


def add_tables(conn: Connection, rows: bulk.Rows, keep: int) -> None:
    """Add images (school_id, device_id, version, image, root, created_at); `keep` of a device stay."""
    columns = ("school_id", "device_id", "version", "image", "root", "created_at")
    bulk.insert_rows(conn, db.device_table, rows, columns)
    statement = (
        "DELETE FROM device_table WHERE school_id = ? AND device_id = ? AND version NOT IN"
        " (SELECT t.version FROM device_table t WHERE t.school_id = ? AND t.device_id = ?"
        " ORDER BY t.version DESC LIMIT ?)"
    )
    for school_id, device_id, *_rest in rows:
        bulk.run(conn, statement, (school_id, device_id, school_id, device_id, keep))


def newest_tables(conn: Connection, school_id: int) -> dict[int, int]:
    """device_id to the version of its newest table."""
    statement = "SELECT device_id, max(version) FROM device_table WHERE school_id = ? GROUP BY device_id"
    return {row[0]: row[1] for row in bulk.select(conn, statement, (school_id,))}


def tables_made_at(conn: Connection, school_id: int) -> int | None:
    """When the newest table of a school was made; None before the first."""
    found = bulk.select(conn, "SELECT max(created_at) FROM device_table WHERE school_id = ?", (school_id,))
    return None if found[0][0] is None else int(found[0][0])


def add_downlinks(
    conn: Connection,
    school_id: int,
    device_ids: Sequence[int],
    kind: str,
    detail: Mapping[str, Any],
    now: int,
) -> None:
    """Leave the same work for several devices to ingest."""
    columns = ("school_id", "device_id", "kind", "detail", "created_at")
    text = json.dumps(detail, sort_keys=True)
    rows = [(school_id, device_id, kind, text, now) for device_id in device_ids]
    bulk.insert_rows(conn, db.downlink, rows, columns)


def add_refusals(conn: Connection, rows: bulk.Rows) -> None:
    """Count bad messages: (school_id, device_id, code, count, last_at)."""
    change = "count = device_refusal.count + excluded.count, last_at = excluded.last_at"
    bulk.merge_rows(conn, db.device_refusal, rows, ("school_id", "device_id", "code"), change)


def refusals(conn: Connection, school_id: int) -> Sequence[Any]:
    """device_id, code, count, last_at, label; the latest first."""
    statement = (
        "SELECT r.device_id, r.code, r.count AS number, r.last_at, d.label"
        " FROM device_refusal r LEFT JOIN device d"
        " ON d.school_id = r.school_id AND d.device_id = r.device_id"
        " WHERE r.school_id = ? ORDER BY r.last_at DESC, r.device_id, r.code"
    )
    return bulk.select(conn, statement, (school_id,))


def add_command(conn: Connection, row: tuple[Any, ...]) -> None:
    """school_id, device_id, epoch, number, kind, argument, who, reason, asked_at, expires_at, due_at."""
    bulk.insert_rows(conn, db.device_command, [row], _COMMAND)


def last_command_number(conn: Connection, school_id: int, device_id: int, epoch: int) -> int:
    """The highest number that an epoch was ever given, or 0."""
    statement = (
        "SELECT coalesce(max(number), 0) FROM device_command"
        " WHERE school_id = ? AND device_id = ? AND epoch = ?"
    )
    return int(bulk.select(conn, statement, (school_id, device_id, epoch))[0][0])


def commands_due(conn: Connection, now: int, limit: int) -> Sequence[Any]:
    """What waits, of devices that are online, or is over."""
    statement = (
        "SELECT c.id, c.school_id, c.device_id, c.epoch, c.number, c.kind, c.argument, c.expires_at FROM"
        " device_command c JOIN device d"
        " ON d.school_id = c.school_id AND d.device_id = c.device_id WHERE c.settled_at IS NULL AND"
        " (c.expires_at <= ? OR c.epoch <> d.epoch OR (d.online = 1 AND c.due_at <= ?)) ORDER BY c.id LIMIT ?"
    )
    return bulk.select(conn, statement, (now, now, limit))


def set_commands_sent(conn: Connection, rows: bulk.Rows) -> None:
    """Rows of (due_at, id)."""
    statement = "UPDATE device_command SET due_at = ?, sent_count = sent_count + 1 WHERE id = ?"
    bulk.run_many(conn, statement, rows)


def set_commands_expired(conn: Connection, ids: list[int], now: int) -> None:
    """They are over."""
    if ids:
        statement = "UPDATE device_command SET outcome = 'expired', settled_at = ? WHERE id IN ?"
        bulk.run(conn, statement, (now, ids))


def set_command_obeyed(conn: Connection, school_id: int, one: Any, now: int) -> bool:
    """The record of a command came; whether a command waited for it, or had been given up."""
    statement = _OBEYED + " AND number = ? AND kind <> 'confirm_day' AND outcome <> 'obeyed'"
    values = (now, one.seq, school_id, one.device_id, one.epoch, one.number)
    return bulk.run(conn, statement, values) > 0


def is_command_known(conn: Connection, school_id: int, one: Any) -> bool:
    """Whether the number is in use."""
    statement = (
        "SELECT 1 FROM device_command WHERE school_id = ? AND device_id = ? AND epoch = ? AND number = ?"
    )
    return bool(bulk.select(conn, statement, (school_id, one.device_id, one.epoch, one.number)))


def set_day_confirmed(conn: Connection, school_id: int, one: Any, now: int) -> None:
    """The record of a confirmed day came: every confirmation that was sent is done."""
    statement = _OBEYED + " AND kind = 'confirm_day' AND outcome = 'waiting' AND sent_count > 0"
    bulk.run(conn, statement, (now, one.seq, school_id, one.device_id, one.epoch))


def commands_of(conn: Connection, school_id: int, device_id: int, limit: int) -> Sequence[Any]:
    """The latest first."""
    statement = (
        "SELECT number, kind, argument, who, reason, asked_at, outcome, settled_at, seq, epoch"
        " FROM device_command WHERE school_id = ? AND device_id = ? ORDER BY id DESC LIMIT ?"
    )
    return bulk.select(conn, statement, (school_id, device_id, limit))


def read_json(value: Any) -> dict[str, Any]:
    """A JSON column as a dict: PostgreSQL hands it over parsed, SQLite as text."""
    parsed: dict[str, Any] = json.loads(value) if isinstance(value, str | bytes) else value or {}
    return parsed
