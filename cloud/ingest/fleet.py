"""The devices that speak in a batch: their keys, where their journals stand, what they have applied.

Promises: state is read anew for every batch under the school's lock, so that a
second writer or a rolled-back batch leaves nothing stale; only keys are kept
between batches, opened once.  Changes are written with the batch.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from cloud.devices import service as devices
from cloud.ingest import store
from cloud.keys import Vault
from protocols.errors import CHAIN_FORK, SEQ_FUTURE, WIRE_EPOCH
from protocols.ids import hex8
from protocols.mac import DeviceKeys, Hmac
from protocols.wire.messages import Hello

_COUNTERS_RESERVED = 1 << 16
LOCKED_FOR_GOOD = (SEQ_FUTURE, CHAIN_FORK, WIRE_EPOCH)
"""Reasons of a lock that ends with a new epoch only."""


class Keys:
    """The opened keys of one epoch; `sealed` is what they were opened from."""

    def __init__(self, sealed: bytes, key: bytes) -> None:
        self.sealed = sealed
        made = DeviceKeys(key)
        self.up = made.up
        self.down = made.down
        self.table = made.table
        self.chain = Hmac(made.chain)

    def __repr__(self) -> str:
        return "Keys()"


class Device:
    """One device in one batch.  `next_seq` and `head_mac`: how far its journal is in the cloud."""

    def __init__(self, row: Any, keys: Keys) -> None:
        self.school_id: int = row.school_id
        self.device_id: int = row.device_id
        self.kind: str = row.kind
        self.epoch: int = row.epoch
        self.status: str = row.status
        self.is_present: bool = row.epoch == row.present_epoch
        """Not an earlier epoch of a board that has a newer one."""
        self.lock_reason: int = row.lock_reason
        self.incarn_seen: int = row.incarn_seen
        """The highest incarnation whose record was read in its journal."""
        self.table_incarn: int = row.table_incarn
        """The incarnation that was the highest when its newest table was applied."""
        self._reader: Any = row.reader
        self.in_recovery: bool = row.mode == "recovery"
        self.keys = keys
        self.next_seq: int = row.next_seq
        self.head_mac = bytes(row.head_mac)
        self.boot_nonce: bytes | None = None if row.boot_nonce is None else bytes(row.boot_nonce)
        self.table_version: int = row.table_version
        self.settings_version: int = row.settings_version
        self.settings_wanted: int = row.settings_wanted
        self.online = bool(row.online)
        self.state: dict[str, Any] = store.read_json(row.state)
        self.incarnation: int = row.incarnation
        self.incarnation_id: int = row.incarnation_id
        self.time_zone: str = row.time_zone
        self.down_counter: int = row.down_counter
        self.record_prefix = f"record:{hex8(self.device_id)}:{self.epoch}:"
        """With a seq behind it: the external key of what a record causes in the books."""
        self.heard = False
        """Something authentic came from it in this batch."""
        self.moved = False
        """Its journal went on in this batch."""
        self.told = False
        """Its online state was told by the broker in this batch."""

    def said_hello(self, hello: Hello, now: int) -> bool:
        """Keep what its HELLO says, heard at `now`; whether it is of a boot that was not heard of.

        Each boot begins with a record, so one that came late, of a boot that is over, says less than was
        heard already: it is not kept, else TIME and commands would go to a boot that nobody is in.
        """
        is_new = hello.boot_nonce != self.boot_nonce
        if is_new and not hello.locked and hello.next_seq < max(self.next_seq, self.state.get("next_seq", 0)):
            return False
        booted_at = now if is_new else self.state.get("booted_at", now)
        if is_new:
            self.boot_nonce = bytes(hello.boot_nonce)
            self.moved = True
        if self.is_present:
            self.table_version = hello.table_version
            self.settings_version = hello.settings_version
        self.state = {
            "next_seq": hello.next_seq, "acked": hello.acked, "oldest_seq": hello.oldest_seq,
            "heap_free": hello.heap_free, "locked": hello.locked, "booted_at": booted_at,
        }  # fmt: skip
        return is_new

    def keep_versions(self, conn: Connection) -> None:
        """A restored cloud has forgotten versions that devices have applied: the next ones must be higher."""
        if self.in_recovery:
            store.raise_versions(conn, self.school_id, self.table_version, self.settings_version)

    def hole(self, oldest_seq: int) -> tuple[str, str]:
        """(kind, detail) of the alarm that what is missing here is not in its journal any more: more was lost
        than the backup horizon covers, and nobody but a person can let it go on, under a new key."""
        missing = f"{self.next_seq}-{oldest_seq - 1}"
        return "journal_begins_later", f"device {hex8(self.device_id)}, epoch {self.epoch}: records {missing}"

    @property
    def is_open(self) -> bool:
        """Whether this is the epoch that works: rights are granted to it."""
        return self.is_present and self.status == "open"

    @property
    def hands_over(self) -> bool:
        """Whether it is locked for good and sends its whole journal: an ACK names the end of one message."""
        return self.status != "open" or self.state.get("locked") in LOCKED_FOR_GOOD

    @property
    def journal_row(self) -> tuple[Any, ...]:
        """Where its journal stands, as store.write_journals takes it."""
        heard = self.incarn_seen, self.table_incarn
        return (self.next_seq, self.head_mac, self.boot_nonce, *heard, *self.key, self.epoch)

    def heard_row(self, now: int, online: bool) -> tuple[Any, ...]:
        """What it said of itself by `now`, as store.write_devices takes it."""
        applied = self.table_version, self.settings_version
        return (now, int(online), *applied, json.dumps(self.state, sort_keys=True), *self.key)

    @property
    def asks_for_proof(self) -> bool:
        """Whether its reader asks cards for proof: the reader of its newest epoch, also in earlier ones."""
        return devices.asks_for_proof(devices.reader_of(store.read_json(self._reader)))

    @property
    def key(self) -> tuple[int, int]:
        """(school_id, device_id)."""
        return self.school_id, self.device_id


class Fleet:
    """Reads devices for a batch and keeps their keys between batches."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._keys: dict[tuple[int, int, int], Keys] = {}
        self._counters: dict[tuple[int, int, int], tuple[int, int]] = {}

    def read(self, conn: Connection, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Device]:
        """(school_id, device_id) to Device, of those that exist."""
        asked = set(wanted)
        if not asked:
            return {}
        schools = sorted({school_id for school_id, _device in asked})
        ids = sorted({device_id for _school, device_id in asked})
        found = {}
        for row in store.devices(conn, schools, ids):
            if (row.school_id, row.device_id) in asked:
                found[row.school_id, row.device_id] = Device(row, self._opened(row))
        return found

    def read_older(
        self, conn: Connection, wanted: Iterable[tuple[int, int, int]]
    ) -> dict[tuple[int, int, int], Device]:
        """(school_id, device_id, epoch) to Device, of earlier epochs that exist."""
        asked = set(wanted)
        if not asked:
            return {}
        schools = sorted({school_id for school_id, _device, _epoch in asked})
        ids = sorted({device_id for _school, device_id, _epoch in asked})
        rows = store.older_epochs(conn, schools, ids)
        places = [(row, (row.school_id, row.device_id, row.epoch)) for row in rows]
        return {place: Device(row, self._opened(row)) for row, place in places if place in asked}

    def _opened(self, row: Any) -> Keys:
        place = row.school_id, row.device_id, row.epoch
        keys = self._keys.get(place)
        sealed = bytes(row.key_sealed)
        if keys is None or keys.sealed != sealed:
            keys = self._keys[place] = Keys(sealed, self.vault.open(sealed, devices.key_context(*place)))
        return keys

    def next_counter(self, conn: Connection, device: Device) -> int:
        """The next message counter to a device: it only grows, over restarts too.

        A block of numbers is written down before the first of them is used.
        """
        place = (*device.key, device.epoch)
        last, limit = self._counters.get(place, (0, 0))
        if last >= limit:
            last = max(last, device.down_counter)
            limit = last + _COUNTERS_RESERVED
            device.down_counter = limit
            store.reserve_counters(conn, *place, limit)
        self._counters[place] = last + 1, limit
        return last + 1

    def forget_counters(self) -> None:
        """A batch was rolled back: what it reserved counts for nothing."""
        self._counters.clear()
