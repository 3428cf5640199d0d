"""Ingest without its MQTT client: batches of messages in, committed facts, messages to publish out.

Promises: when `handle` or `poll` returns, everything is archived and committed,
and what it returns may be published; when it raises, nothing happened but
frames in the archive, which count once.  Safe to end at any point: devices
send again what was not acknowledged.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, Engine

from cloud.accounting import service as accounting
from cloud.alarms import service as alarms
from cloud.archive import Archive
from cloud.db import begin, lock_school, reading
from cloud.devices import service as devices
from cloud.ingest import commands, inbox, recovery, store, witness
from cloud.ingest.again import Again
from cloud.ingest.batch import Batch
from cloud.ingest.fleet import Fleet
from cloud.ingest.inbox import Inbox, Incoming
from cloud.ingest.needs import Needs
from cloud.ingest.outgoing import Outgoing
from cloud.ingest.prices import Prices
from cloud.keys import Vault
from cloud.losses import service as losses
from cloud.memory import collecting_later
from cloud.payouts import service as payouts
from protocols.errors import name
from protocols.ids import hex8, parse_hex8
from protocols.wire import topics

__all__ = ["Archive", "Incoming", "Ingest", "Outgoing", "Standing", "archive_lengths", "standings"]

WORK_AT_ONCE = 200
log = structlog.get_logger("ingest")


class Standing(NamedTuple):
    """Where a school's books stand."""

    incarnation: int
    entries: int
    records: int


def standings(engine: Engine) -> dict[int, Standing]:
    """Where the books of every school stand."""
    with reading(engine) as conn:
        return {
            row.school_id: Standing(
                row.incarnation,
                accounting.head(conn, row.school_id).entry_count,
                store.record_count(conn, row.school_id),
            )
            for row in store.schools(conn)
        }


def archive_lengths(vault: Vault, folder: Path) -> dict[int, int]:
    """school_id to the bytes of the archive that the witness beside it has seen; forged ones are left out."""
    found = {}
    for path in sorted(folder.glob("*.head")):
        school_id = parse_hex8(path.stem)
        seen = witness.unseal(vault, school_id, path.read_bytes())
        if seen is not None:
            found[school_id] = seen.archive_length
    return found


class Ingest:
    """One ingest process's state between batches: opened keys, price lists, cards that wait.

    `clock` gives UTC seconds.
    """

    def __init__(
        self, engine: Engine, vault: Vault, archive: Archive, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._archive = archive
        self._clock = clock
        self._fleet = Fleet(vault)
        self._needs = Needs()
        self._prices = Prices()
        self._is_started = False
        self._heads: dict[int, bytes] = {}
        self._counts: dict[int, int] = {}
        self._untold: set[int] = set()
        self._vault = vault
        self.record_count = 0
        """Records committed since the start."""

    # Restores

    def start(self, retained: Mapping[int, bytes] | None = None) -> None:
        """Compare the database with the witnesses outside it and go into recovery where it is older.

        `retained`: school_id to what the broker has kept of us; without it only
        the files beside the archive are asked.
        """
        self._is_started = True
        with reading(self._engine) as conn:
            schools = store.schools(conn)
        for school in schools:
            verdict = self._judge(school, retained)
            if verdict.reason:
                self.recover(
                    school.school_id, verdict.reason, verdict.above, is_archive_whole=verdict.is_archive_whole
                )
            elif school.mode == "recovery":
                self._read_archive(school.school_id)
            self._tell_head(school.school_id)

    def recover(self, school_id: int, reason: str, above: int = 0, *, is_archive_whole: bool = False) -> None:
        """Begin a new incarnation of a school and read its archive again; `above`: a number that was seen.

        Unless the archive is known to be whole, payouts are held until a person has looked.
        """
        payload = witness.read(self._archive.folder, school_id)
        seen = witness.unseal(self._vault, school_id, payload) if payload else None
        above = max(above, seen.incarnation if seen else 0)
        now, number = int(self._clock()), secrets.randbelow((1 << 32) - 1) + 1
        with begin(self._engine) as conn:
            counter = recovery.begin(conn, self._vault, self._archive, school_id, reason, above, number, now)
            if not is_archive_whole:
                payouts.hold(conn, self._archive, school_id, reason, now)
        log.warning("recovery begins", school=hex8(school_id), incarnation=counter, reason=reason)
        self._forget()
        self._read_archive(school_id)
        self._tell_head(school_id)

    def schools(self) -> set[int]:
        """The schools whose devices have spoken: there is something to lose, and to be told of."""
        with reading(self._engine) as conn:
            known = {row.school_id for row in store.schools(conn)}
            return {school_id for school_id in known if store.has_records(conn, school_id)}

    def heads(self, *, everything: bool = False) -> list[Outgoing]:
        """Witnesses to publish as retained messages: those that changed since the last call, or all.

        What other processes have posted since - payouts, top-ups, the office - moves a witness too.
        """
        self._look()
        untold = sorted(self._heads if everything else self._untold)
        self._untold.clear()
        return [Outgoing(topics.cloud_head(school_id), self._heads[school_id]) for school_id in untold]

    def _judge(self, school: Any, retained: Mapping[int, bytes] | None) -> witness.Verdict:
        school_id = school.school_id
        found = [("the file", witness.read(self._archive.folder, school_id))]
        if retained is not None:
            found.append(("the broker", retained.get(school_id)))
        with begin(self._engine) as conn:
            incarnation = school.incarnation, school.incarnation_id
            own = self._own(incarnation, accounting.head(conn, school_id), school.batch_count)
            verdict = witness.judge(conn, self._vault, school_id, own, found)
            for kind, detail in verdict.alarms:
                alarms.raise_alarm(conn, school_id, kind, detail, int(self._clock()))
        return verdict

    def _own(self, incarnation: tuple[int, int], head: accounting.Head, batches: int) -> witness.Witness:
        return witness.Witness(*incarnation, head.entry_count, head.hash, self._archive.length(), batches)

    def _tell_head(self, school_id: int) -> None:
        with reading(self._engine) as conn:
            row = next(row for row in store.schools(conn) if row.school_id == school_id)
            incarnation = row.incarnation, row.incarnation_id
            own = self._own(incarnation, accounting.head(conn, school_id), row.batch_count)
        self._keep_head(school_id, own)

    def _look(self) -> None:
        """Books that have grown without a batch; those that are shorter are left for the next start."""
        grown = []
        with reading(self._engine) as conn:
            for row in store.schools(conn) if self._counts else ():
                head = accounting.head(conn, row.school_id)
                if head.entry_count > self._counts.get(row.school_id, head.entry_count):
                    grown.append((row, head))
        for row, head in grown:
            own = self._own((row.incarnation, row.incarnation_id), head, row.batch_count)
            self._keep_head(row.school_id, own)

    def _keep_head(self, school_id: int, own: witness.Witness) -> None:
        payload = witness.seal(self._vault, school_id, own)
        witness.write(self._archive.folder, school_id, payload)
        self._heads[school_id] = payload
        self._counts[school_id] = own.entry_count
        self._untold.add(school_id)

    def _read_archive(self, school_id: int) -> None:
        """Bring the database up to its archive; may be done again at any time.

        Payouts first: what left a purse is not there for the sales that follow.  Cards that people closed are
        closed before a device is told anything.
        """
        decided = recovery.decided(self._archive, school_id)
        with begin(self._engine) as conn:
            payouts.read_again(conn, school_id, decided, int(self._clock()))
        for items in recovery.parts(self._archive, school_id):
            with begin(self._engine) as conn:
                lock_school(conn, school_id)
                found = recovery.inbox_of(conn, self._fleet, items)
                batch = Again(conn, self._fleet, self._needs, self._prices, found, int(self._clock()))
                batch.read_again(items)
                batch.finish(None)
            self.record_count += batch.record_count
        with begin(self._engine) as conn:
            losses.read_again(conn, self._vault, school_id, decided, int(self._clock()))
            devices.end_recovery(conn, school_id, int(self._clock()))

    def _end_unfinished(self) -> None:
        """A process that ended while it read the archive: the next one goes on before it takes anything."""
        self._is_started = True
        with reading(self._engine) as conn:
            schools = store.schools(conn)
        for school in schools:
            if school.mode == "recovery":
                self._read_archive(school.school_id)

    # Messages

    def handle(self, incoming: Sequence[Incoming]) -> list[Outgoing]:
        """Take a batch of messages; returns what to publish, in order."""
        if not incoming:
            return []

        def work(conn: Connection) -> Batch:
            found = inbox.sort(conn, self._fleet, incoming)
            seen = {
                school_id: (f"a device knows incarnation {counter}", counter)
                for school_id, counter in found.newer.items()
            }
            seen = {**witness.untold_books(conn, found), **seen}
            if seen:
                raise recovery.Restored(seen)
            batch = self._batch(conn, found)
            batch.take(self._archive)
            return batch

        try:
            return self._run(work)
        except recovery.Restored as restored:
            for school_id, (reason, above) in sorted(restored.schools.items()):
                self.recover(school_id, reason, above)
        return self._run(work)

    def poll(self) -> list[Outgoing]:
        """Do work that other processes left in `downlink`; returns what to publish, in order."""
        with reading(self._engine) as conn:
            if not store.waiting(conn, 1) and not devices.due(conn, int(self._clock()), 1):
                return []
        return self._run(self._downlink)

    def _run(self, work: Callable[[Connection], Batch]) -> list[Outgoing]:
        if not self._is_started:
            self._end_unfinished()
        done = False
        try:
            with collecting_later(), begin(self._engine) as conn:
                batch = work(conn)
                batch.finish(self._archive)
            done = True
        finally:
            if not done:
                self._forget()
        for school_id, incarnation, head, count in batch.witnessed:
            self._keep_head(school_id, self._own(incarnation, head, count))
        self.record_count += batch.record_count
        for (school_id, device_id, code), count in sorted(batch.refusals.items()):
            place = f"{hex8(school_id)}/{hex8(device_id)}"
            log.warning("refused", device=place, refusal=code, name=name(code), count=count)
        return batch.post.outgoing

    def _forget(self) -> None:
        """What a transaction decided did not happen."""
        self._fleet.forget_counters()
        self._needs.forget()
        self._prices = Prices()

    def _batch(self, conn: Connection, sorted_inbox: Inbox) -> Batch:
        return Batch(conn, self._fleet, self._needs, self._prices, sorted_inbox, int(self._clock()))

    def _downlink(self, conn: Connection) -> Batch:
        rows = store.waiting(conn, WORK_AT_ONCE)
        asked = devices.due(conn, int(self._clock()), WORK_AT_ONCE)
        for school_id in sorted({row.school_id for row in (*rows, *asked)}):
            lock_school(conn, school_id)
        places = {(row.school_id, row.device_id) for row in (*rows, *asked)}
        known = self._fleet.read(conn, places)
        batch = self._batch(conn, inbox.nothing(known))
        settings_sent = set()
        for row in rows:
            device = known.get((row.school_id, row.device_id))
            if device is None or not device.is_open:
                continue
            if row.kind == "grant":
                batch.offer(device, list(store.read_json(row.detail)["accounts"]), row.id)
            elif row.kind == "recall":
                batch.recall(device, store.read_json(row.detail)["account"])
            elif row.kind == "table":
                batch.send_table(device, device.table_version)
            elif device.online and device.key not in settings_sent:
                settings_sent.add(device.key)
                batch.send_settings(device)
        store.set_done(conn, [row.id for row in rows], int(self._clock()))
        commands.send(conn, batch.post, known, asked, int(self._clock()))
        return batch
