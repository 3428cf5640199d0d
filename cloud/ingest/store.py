"""SQL of ingest: few statements for a whole batch, tuples in, rows out."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db
from protocols.ledger.record import Record, unpack


def known_schools(conn: Connection, school_ids: list[int]) -> set[int]:
    """Which of these schools exist."""
    statement = "SELECT school_id FROM school WHERE school_id IN ?"
    return {row[0] for row in bulk.select(conn, statement, (school_ids,))}


VERSIONS_PASSED = 10_000
"""More tables or settings than are published between a backup and the restore of it: a board may be fetching
one of those, and must not take it for another of the same number."""
_DEVICES = (
    "SELECT d.school_id, d.device_id, d.kind, e.epoch, d.epoch AS present_epoch, d.table_version,"
    " d.settings_version, d.online, d.state, e.key_sealed, e.next_seq, e.head_mac, e.boot_nonce, e.status,"
    " e.down_counter, e.incarn_seen, e.table_incarn, e.lock_reason, d.reader, s.mode,"
    " s.incarnation, s.incarnation_id, s.settings_version AS settings_wanted, s.time_zone"
    " FROM device d JOIN device_epoch e ON e.school_id = d.school_id AND e.device_id = d.device_id"
    " JOIN school s ON s.school_id = d.school_id WHERE d.school_id IN ? AND d.device_id IN ?"
)


def devices(conn: Connection, school_ids: list[int], device_ids: list[int]) -> Sequence[Any]:
    """Devices with their present epoch and what their school says."""
    return bulk.select(conn, _DEVICES + " AND e.epoch = d.epoch", (school_ids, device_ids))


def older_epochs(conn: Connection, school_ids: list[int], device_ids: list[int]) -> Sequence[Any]:
    """The same of their earlier epochs."""
    return bulk.select(conn, _DEVICES + " AND e.epoch <> d.epoch", (school_ids, device_ids))


def schools(conn: Connection) -> Sequence[Any]:
    """school_id, incarnation, incarnation_id, mode, batch_count of every school."""
    statement = (
        "SELECT school_id, incarnation, incarnation_id, mode, batch_count FROM school ORDER BY school_id"
    )
    return bulk.select(conn, statement)


def count_batch(conn: Connection, school_id: int) -> int:
    """One more batch of ingest about a school; how many there were."""
    statement = "UPDATE school SET batch_count = batch_count + 1 WHERE school_id = ? RETURNING batch_count"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def incarnation(conn: Connection, school_id: int) -> int:
    """The counter of a school's present incarnation."""
    return int(bulk.select(conn, "SELECT incarnation FROM school WHERE school_id = ?", (school_id,))[0][0])


def begin_incarnation(conn: Connection, school_id: int, counter: int, number: int, reason: str) -> None:
    """A new incarnation, in recovery mode; numbers of tables and settings that may be out are passed over."""
    statement = (
        "UPDATE school SET incarnation = ?, incarnation_id = ?, mode = 'recovery', recovery_reason = ?,"
        " table_version = table_version + ?, settings_version = settings_version + ? WHERE school_id = ?"
    )
    bulk.run(conn, statement, (counter, number, reason, VERSIONS_PASSED, VERSIONS_PASSED, school_id))


def has_records(conn: Connection, school_id: int) -> bool:
    """Whether any device of a school has ever spoken."""
    return bool(bulk.select(conn, "SELECT 1 FROM record WHERE school_id = ? LIMIT 1", (school_id,)))


def record_count(conn: Connection, school_id: int) -> int:
    """How many records of devices a school has."""
    statement = "SELECT count(*) FROM record WHERE school_id = ?"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def entry_hash(conn: Connection, school_id: int, entry_id: int) -> bytes:
    """The hash of an entry, empty when there is none."""
    statement = "SELECT hash FROM entry WHERE school_id = ? AND entry_id = ?"
    rows = bulk.select(conn, statement, (school_id, entry_id))
    return bytes(rows[0][0]) if rows else b""


def reserve_counters(conn: Connection, school_id: int, device_id: int, epoch: int, limit: int) -> None:
    """Message counters to this device up to `limit` are used up from now on."""
    statement = "UPDATE device_epoch SET down_counter = ? WHERE school_id = ? AND device_id = ? AND epoch = ?"
    bulk.run(conn, statement, (limit, school_id, device_id, epoch))


def raw_records(
    conn: Connection, school_id: int, device_id: int, epoch: int, first: int, after: int
) -> bytes:
    """The raw bytes of records first..after-1, one behind the other."""
    statement = (
        "SELECT raw FROM record WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq >= ? AND seq < ?"
        " ORDER BY seq"
    )
    rows = bulk.select(conn, statement, (school_id, device_id, epoch, first, after))
    return b"".join(bytes(row[0]) for row in rows)


def earlier_record(
    conn: Connection, school_id: int, device_id: int, epoch: int, seq: int
) -> tuple[Record, int] | None:
    """A record and its refusal, or None."""
    statement = (
        "SELECT raw, refusal FROM record WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq = ?"
    )
    rows = bulk.select(conn, statement, (school_id, device_id, epoch, seq))
    return (unpack(bytes(rows[0][0])), rows[0][1]) if rows else None


def add_records(conn: Connection, rows: bulk.Rows) -> None:
    """Rows in the order of the table's columns."""
    bulk.insert_rows(conn, db.record, rows)


def fork_macs(
    conn: Connection, school_id: int, device_id: int, epoch: int, seqs: list[int]
) -> set[tuple[int, bytes]]:
    """(seq, mac) of what is kept of losing branches under these seqs."""
    statement = (
        "SELECT seq, mac FROM fork_record WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq IN ?"
    )
    rows = bulk.select(conn, statement, (school_id, device_id, epoch, seqs)) if seqs else ()
    return {(row[0], bytes(row[1])) for row in rows}


def fork_raws(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> list[bytes]:
    """The raw records that losing branches have under one seq."""
    statement = "SELECT raw FROM fork_record WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq = ?"
    return [bytes(row[0]) for row in bulk.select(conn, statement, (school_id, device_id, epoch, seq))]


def add_fork_records(conn: Connection, rows: bulk.Rows) -> None:
    """Rows in the order of the table's columns."""
    bulk.insert_rows(conn, db.fork_record, rows)


def set_status(
    conn: Connection, school_id: int, device_id: int, epoch: int, status: str, lock_reason: int
) -> None:
    """The state of an epoch, and why its device must lock itself."""
    statement = (
        "UPDATE device_epoch SET status = ?, lock_reason = ?"
        " WHERE school_id = ? AND device_id = ? AND epoch = ?"
    )
    bulk.run(conn, statement, (status, lock_reason, school_id, device_id, epoch))


def raise_versions(conn: Connection, school_id: int, table: int, settings: int) -> None:
    """Versions that a device has applied were given out: the next ones are higher."""
    statement = (
        "UPDATE school SET table_version = CASE WHEN table_version < ? THEN ? ELSE table_version END,"
        " settings_version = CASE WHEN settings_version < ? THEN ? ELSE settings_version END"
        " WHERE school_id = ?"
    )
    bulk.run(conn, statement, (table, table, settings, settings, school_id))


def use_release(
    conn: Connection, school_id: int, device_id: int, epoch: int, account_id: int, bucket: int, amount: int
) -> bool:
    """Take `amount` of what was set aside for a holder's key; False when so much is not left."""
    place = (school_id, device_id, epoch, account_id, bucket)
    where = "WHERE school_id = ? AND device_id = ? AND epoch = ? AND account_id = ? AND bucket = ?"
    rows = bulk.select(conn, f"SELECT released - used FROM right_release {where}", place)  # noqa: S608 our own
    if not rows or rows[0][0] < amount:
        return False
    bulk.run(conn, f"UPDATE right_release SET used = used + ? {where}", (amount, *place))  # noqa: S608 our own
    return True


def is_released(conn: Connection, school_id: int, device_id: int, epoch: int) -> bool:
    """Whether money was set aside for a lost holder."""
    statement = "SELECT 1 FROM right_release WHERE school_id = ? AND device_id = ? AND epoch = ? LIMIT 1"
    return bool(bulk.select(conn, statement, (school_id, device_id, epoch)))


def rights(conn: Connection, school_id: int, account_ids: list[int]) -> Sequence[Any]:
    """device_id, epoch, account_id, bucket, granted .. tabled, online, closed of every holder."""
    statement = (
        "SELECT r.device_id, r.epoch, r.account_id, r.bucket, r.granted, r.returned, r.spent, r.voided,"
        " r.recall_target, r.journaled, r.tabled, CASE WHEN e.status = 'open' THEN d.online ELSE 0 END,"
        " CASE WHEN e.status = 'closed' THEN 1 ELSE 0 END"
        " FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " JOIN device d ON d.school_id = r.school_id AND d.device_id = r.device_id"
        " WHERE r.school_id = ? AND r.account_id IN ?"
    )
    return bulk.select(conn, statement, (school_id, account_ids))


def held_by(conn: Connection, school_id: int, device_id: int, epoch: int, benefit_minor: int) -> int:
    """What all rights of one holder are worth, as far as the database knows; a benefit `benefit_minor`."""
    statement = (
        "SELECT CAST(coalesce(sum((granted - returned - spent + voided)"
        " * CASE WHEN bucket IN (0, 1) THEN 1 ELSE ? END), 0) AS BIGINT) FROM spending_right"
        " WHERE school_id = ? AND device_id = ? AND epoch = ?"
    )
    return int(bulk.select(conn, statement, (benefit_minor, school_id, device_id, epoch))[0][0])


def write_rights(conn: Connection, rows: bulk.Rows) -> None:
    """Rows in the order of the table's columns."""
    keys = ("school_id", "device_id", "epoch", "account_id", "bucket")
    names = [name for name in db.spending_right.columns.keys() if name not in keys]  # noqa: SIM118
    change = ", ".join(f"{name} = excluded.{name}" for name in names)
    bulk.merge_rows(conn, db.spending_right, rows, keys, change)


def untold_grants(conn: Connection, school_id: int, device_id: int, epoch: int) -> Sequence[Any]:
    """account_id, bucket, granted that neither the device's table nor its journal has."""
    statement = (
        "SELECT account_id, bucket, granted FROM spending_right WHERE school_id = ? AND device_id = ?"
        " AND epoch = ? AND granted > tabled AND granted > journaled ORDER BY account_id, bucket"
    )
    return bulk.select(conn, statement, (school_id, device_id, epoch))


def tabled_grants(conn: Connection, school_id: int, device_id: int, epoch: int) -> Sequence[Any]:
    """account_id, bucket, granted of what the newest table tells."""
    statement = (
        "SELECT account_id, bucket, tabled FROM spending_right WHERE school_id = ? AND device_id = ?"
        " AND epoch = ? AND tabled > 0 ORDER BY account_id, bucket"
    )
    return bulk.select(conn, statement, (school_id, device_id, epoch))


def prices(conn: Connection, school_id: int) -> set[tuple[int, int]]:
    """(good_id, price_minor) that devices of a school were ever told."""
    statement = "SELECT good_id, price_minor FROM published_price WHERE school_id = ?"
    return {(row[0], row[1]) for row in bulk.select(conn, statement, (school_id,))}


def table_head(conn: Connection, school_id: int, device_id: int) -> Any:
    """version, size, header, root, archived_at of the newest table of a device, or None."""
    statement = (
        "SELECT version, length(image) AS size, substr(image, 1, 32) AS header, root, archived_at"
        " FROM device_table"
        " WHERE school_id = ? AND device_id = ? ORDER BY version DESC LIMIT 1"
    )
    rows = bulk.select(conn, statement, (school_id, device_id))
    return rows[0] if rows else None


def table_image(conn: Connection, school_id: int, device_id: int, version: int) -> bytes | None:
    """The image of a table that was archived, or None."""
    statement = (
        "SELECT image FROM device_table WHERE school_id = ? AND device_id = ? AND version = ?"
        " AND archived_at IS NOT NULL"
    )
    rows = bulk.select(conn, statement, (school_id, device_id, version))
    return bytes(rows[0][0]) if rows else None


def set_archived(conn: Connection, school_id: int, device_id: int, version: int, now: int) -> None:
    """The grants of a table, and of older ones, are in the archive."""
    statement = (
        "UPDATE device_table SET archived_at = ? WHERE school_id = ? AND device_id = ? AND version <= ?"
        " AND archived_at IS NULL"
    )
    bulk.run(conn, statement, (now, school_id, device_id, version))


def write_journals(conn: Connection, rows: bulk.Rows) -> None:
    """Where journals stand: next_seq, head_mac, boot_nonce, incarn_seen, table_incarn and an epoch's key."""
    statement = (
        "UPDATE device_epoch SET next_seq = ?, head_mac = ?, boot_nonce = ?, incarn_seen = ?,"
        " table_incarn = ? WHERE school_id = ? AND device_id = ? AND epoch = ?"
    )
    bulk.run_many(conn, statement, rows)


def write_devices(conn: Connection, rows: bulk.Rows) -> None:
    """Rows of (last_seen_at, online, table_version, settings_version, state, school_id, device_id)."""
    statement = (
        "UPDATE device SET last_seen_at = ?, online = ?, table_version = ?, settings_version = ?, state = ?"
        " WHERE school_id = ? AND device_id = ?"
    )
    bulk.run_many(conn, statement, rows)


def write_online(conn: Connection, rows: bulk.Rows) -> None:
    """What the broker says: (online, school_id, device_id)."""
    bulk.run_many(conn, "UPDATE device SET online = ? WHERE school_id = ? AND device_id = ?", rows)


WAITING = (
    "SELECT l.id, l.school_id, l.device_id, l.kind, l.detail, d.online FROM downlink l JOIN device d"
    " ON d.school_id = l.school_id AND d.device_id = l.device_id"
    " JOIN school s ON s.school_id = l.school_id WHERE l.done_at IS NULL"
    " AND (l.kind NOT IN ('grant', 'recall') OR (d.online = 1 AND s.mode = 'normal')) ORDER BY l.id LIMIT ?"
)


def waiting(conn: Connection, limit: int) -> Sequence[Any]:
    """Work left by other processes; grants and recalls wait for their device and for normal mode."""
    return bulk.select(conn, WAITING, (limit,))


def set_done(conn: Connection, ids: list[int], now: int) -> None:
    """Work that is done with the batch."""
    bulk.run(conn, "UPDATE downlink SET done_at = ? WHERE id IN ?", (now, ids))


def read_json(value: Any) -> dict[str, Any]:
    """A JSON column as a dict: PostgreSQL hands it over parsed, SQLite as text."""
    parsed: dict[str, Any] = json.loads(value) if isinstance(value, str | bytes) else value or {}
    return parsed
