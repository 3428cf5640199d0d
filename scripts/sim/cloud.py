"""The cloud of the simulation: the real ingest, books and placement on SQLite in memory.

Promises: what a process would lose at a kill is lost here too: everything but the database, the archive's
files and the vault.  A kill can fall at chosen points: before the archive, behind it, before the commit,
behind it and before anything was published.  Only durability is given away: SQLite lies in memory, and a
crash is an exception that no handler of the product can catch.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import structlog
from sqlalchemy import Engine

from cloud import db
from cloud.archive import Archive, Item
from cloud.ingest import service as ingest_service
from cloud.ingest.service import Incoming, Ingest
from cloud.keys import Vault
from cloud.meals import service as meals
from scripts.sim.crash import CRASH, described
from scripts.sim.heap import Heap
from scripts.sim.network import Network
from scripts.sim.office import Office
from scripts.sim.town import Deposit, Town

# A quiet cloud answers at once, a busy one takes seconds: devices must live with both.
_GATHER_MS = (60, 120, 200, 250, 300, 1_500)
_RESTART_MS = 400
_BATCH_MAX = 48
CRASH_POINTS = ("before_archive", "after_archive", "after_commit", "while_publishing")

_blank: list[bytes] = []


class Crash(BaseException):
    """The ingest process is killed here."""


class CrashingArchive(Archive):
    """The real archive; `crash_at` kills the process before or behind the next append, or in its middle."""

    crash_at = ""
    torn_share = 0
    is_full = False

    def append(self, items: Iterable[Item], now: int) -> None:
        """Append, unless the process dies."""
        crash_at, self.crash_at = self.crash_at, ""
        if crash_at == "before_archive":
            raise Crash
        if self.is_full:
            raise OSError(28, "no space left")
        before = self.length()
        super().append(items, now)
        if crash_at == "torn_archive":
            # Bytes of an earlier append were on the disk before anybody was told of them.
            self._tear(min(self.torn_share, self.length() - before))
        if crash_at:
            raise Crash

    def append_meanwhile(self, items: Iterable[Item], now: int) -> Callable[[], None]:
        """Without a thread, whose turn would depend on the machine: at once, told when it is waited for."""
        try:
            self.append(items, now)
        except (Crash, OSError) as error:
            failed = error

            def wait() -> None:
                raise failed

            return wait
        return lambda: None

    def _tear(self, size: int) -> None:
        if size and self._path is not None:
            os.truncate(self._path, self._path.stat().st_size - size)
            self._length -= size


class SimVault(Vault):
    """The real vault with a card key that comes from the seed."""

    def __init__(self, folder: Path, chance: Random) -> None:
        super().__init__(folder)
        self._key = chance.randbytes(32)

    def reference_key(self, school_id: int) -> bytes:
        """The same in each run of a seed."""
        return self._key


class SeededNumbers:
    """Stands in for the module `secrets` where the product draws a number."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def randbelow(self, limit: int) -> int:
        """A number below the limit."""
        return self._chance.randrange(limit)


def blank_database() -> bytes:
    """A database with the product's schema and nothing in it; made once in a process."""
    if not _blank:
        made = db.engine("sqlite://")
        db.metadata.create_all(made)
        with made.connect() as conn:
            _blank.append(driver(conn).serialize())
        made.dispose()
    return _blank[0]


def driver(conn: Any) -> sqlite3.Connection:
    """SQLite's own connection below SQLAlchemy's."""
    found: sqlite3.Connection = conn.connection.driver_connection
    return found


def open_database(image: bytes) -> Engine:
    """An engine on a database in memory that starts as `image`."""
    made = db.engine("sqlite://")
    with made.connect() as conn:
        driver(conn).deserialize(image)
        conn.exec_driver_sql("PRAGMA foreign_keys=ON")
    return made


class Cloud(Office):
    """One school's cloud.  `down` is True between a kill and the restart."""

    def __init__(self, heap: Heap, network: Network, town: Town, chance: Random) -> None:
        # Millions of refused messages are meant to be refused; a line for each would be most of the cost.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.heap = heap
        self._network = network
        self._town = town
        self._chance = chance
        base = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, where there is such a place
        self.folder = Path(tempfile.mkdtemp(prefix="klasskart-sim-", dir=base))
        self.vault = SimVault(self.folder / "keys", chance)
        self.archive = CrashingArchive(self.folder / "archive")
        self.engine = open_database(blank_database())
        self.school = chance.randrange(1, 1 << 32)
        self.crash_at = ""
        self.down = False
        self.clock_error_s = 0
        """What the clock of ingest's machine is wrong by."""
        self.crashes = 0
        self.batches = 0
        self.retained: bytes | None = None
        """The witness of the books that the broker keeps."""
        self._menus: list[list[meals.Item]] = []
        self.bank_is_late = False
        """After a restore, until the bank's file was read again."""
        self.late_lines: list[Deposit] = []
        """Lines of the bank that came while the cloud was down."""
        self._inbox: list[tuple[Incoming, bool]] = []
        self._due = False
        self._asked: Engine | None = None
        self._driver: Any = None
        # Incarnations are random: here they follow from the seed.
        vars(ingest_service)["secrets"] = SeededNumbers(chance)
        self.ingest = self._process()
        self.complain: Any = None
        self.watch_batch: Any = lambda: None

    def close(self) -> None:
        """Give the memory back."""
        self.engine.dispose()
        self.archive.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _process(self) -> Ingest:
        return Ingest(self.engine, self.vault, self.archive, lambda: self.heap.wall_s + self.clock_error_s)

    # Messages

    def hear(self, topic: str, payload: bytes, forged: bool) -> None:
        """The broker hands a message over; a process that is down misses it."""
        if not self.down:
            self._inbox.append((Incoming(topic, payload), forged))
            self.work_soon()

    def work_soon(self) -> None:
        """A batch is gathered for a moment."""
        if not self._due:
            self._due = True
            self.heap.after(self._chance.choice(_GATHER_MS), self._work)

    def _work(self) -> None:
        self._due = False
        if self.down:
            return
        try:
            for forged, incoming in self._parts():
                before = self.fingerprint() if forged else None
                published = self._commit(incoming)
                if forged and self.fingerprint() != before:
                    self.complain("I12", "the cloud obeyed a forged message")
                self._publish(published)
            self._publish(self.ingest.poll())
            self._keep_heads()
        except Crash:
            self.kill()
        except OSError:
            # A full disk: nothing of the batch happened, and nothing of it is acknowledged.
            self.heap.after(2_000, self.work_soon)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process would have ended
            self.complain(CRASH, f"ingest ended with {described(error)}")
            self.kill()

    def _parts(self) -> Iterator[tuple[bool, list[Incoming]]]:
        """Forged messages one by one, so that it is seen what they do; the others together."""
        waiting, self._inbox = self._inbox, []
        part: list[Incoming] = []
        for incoming, forged in waiting:
            if forged or len(part) >= _BATCH_MAX:
                if part:
                    yield False, part
                part = []
            if forged:
                yield True, [incoming]
            else:
                part.append(incoming)
        if part:
            yield False, part

    def _commit(self, incoming: list[Incoming]) -> list[Any]:
        crash_at = self.crash_at
        if crash_at in ("before_archive", "after_archive", "torn_archive"):
            self.archive.crash_at, self.crash_at = crash_at, ""
        published = self.ingest.handle(incoming)
        self.archive.crash_at = ""
        self.batches += 1
        self.note_refunds()
        self.watch_batch()
        if self.crash_at == "after_commit":
            raise Crash
        return published

    def _publish(self, published: list[Any]) -> None:
        for number, message in enumerate(published):
            if self.crash_at == "while_publishing" and number * 2 >= len(published):
                raise Crash
            self._network.to_device(message.topic, message.payload)

    def heal(self) -> None:
        """No trouble any more; what the bank had to say is heard."""
        self.crash_at = ""
        self.clock_error_s = 0
        self.archive.is_full = False
        self.start()
        if self.bank_is_late:
            self.import_bank()
        self.end_forgotten_payouts()
        late, self.late_lines = self.late_lines, []
        if late:
            self.top_up_file(late)
        self.work_soon()

    @property
    def in_recovery(self) -> bool:
        """Whether the school waits for its devices' journals after a restore."""
        return bool(self.select("SELECT mode = 'recovery' FROM school")[0][0])

    def kill(self) -> None:
        """SIGKILL; the process starts again a moment later."""
        self.crashes += 1
        self.crash_at = ""
        self.archive.crash_at = ""
        self.down = True
        self._inbox.clear()
        self.archive.close()
        self.heap.after(_RESTART_MS + self._chance.randrange(3_000), self.start)

    def stop(self) -> None:
        """The process is ended; it starts when somebody starts it."""
        self.down = True
        self._inbox.clear()
        self.archive.close()

    def start(self, *, announced: bool = False) -> None:
        """A new process on the same data; it asks the witnesses, and the broker tells it who is online."""
        if not self.down:
            return
        self.down = False
        self.refunds_seen = self.payouts_seen = 0
        self.ingest = self._process()
        try:
            self.ingest.start({} if self.retained is None else {self.school: self.retained})
            if announced and not self.in_recovery:
                self.ingest.recover(self.school, "restored from a backup")
            self._keep_heads()
        except Crash:
            self.kill()
        except OSError:
            self.stop()
            self.heap.after(2_000, self.start)
        self._network.tell_states()
        self.work_soon()

    def _keep_heads(self) -> None:
        for head in self.ingest.heads():
            self.retained = head.payload

    # Looking

    def fingerprint(self) -> tuple[Any, ...]:
        """What a forged message could change in the database."""
        statement = (
            "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM entry),"
            " (SELECT sum(next_seq) FROM device_epoch), (SELECT sum(granted + returned + recall_target) FROM"
            " spending_right), (SELECT total(table_version + settings_version) FROM device),"
            " (SELECT group_concat(hex(coalesce(boot_nonce, ''))) FROM device_epoch)"
        )
        return tuple(self.select(statement)[0])

    def select(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a question of the simulator itself."""
        if self._asked is not self.engine:
            # In memory there is one connection for all: it is not looked for again at each question.
            with db.reading(self.engine) as conn:
                self._asked, self._driver = self.engine, driver(conn)
        return self._driver.execute(statement, values).fetchall()
