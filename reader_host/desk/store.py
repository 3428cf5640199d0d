"""What the desk did and what still waits for the cloud: one SQLite file in the desk's folder.

    operation   one row for each thing done with a card, kept for good; its `state`:
                begun      written down, the card is not finished: it waits for its card
                ready      the card is finished: it waits for the cloud
                accepted   the cloud has it
                refused    the cloud does not take it; a person must look
                dropped    taken back before the card was finished: never told to the cloud
    line        one pupil in the queue of a class that is given cards in a row

Promises: a change is on the disk before the call returns (synchronous=FULL), so an operation survives a kill
at any point with the op_id it had; ids of cards are sealed and wiped when the cloud has answered, what is
left are keyed references; the file is 0600.  Leaves what the states mean to work.py.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import sqlite_utils

from reader_host.desk.seal import Seal

BEGUN, READY, ACCEPTED, REFUSED, DROPPED = "begun", "ready", "accepted", "refused", "dropped"
ISSUE, REPLACE, TEMPORARY, WIPE, RENEW = "issue", "replace", "temporary", "wipe", "renew"
BLOCK = "block"
"""Done without the card: it is lost."""
GIVING = (ISSUE, REPLACE, TEMPORARY)
MAIN = "card"
"""The kind of a pupil's first card."""
WAITING, GIVEN, SKIPPED = "waiting", "given", "skipped"

_OPERATION = {
    "number": int, "op_id": str, "op": str, "student": str, "kind": str, "until": str, "at": int,
    "card_ref": str, "uid_ref": str, "state": str, "sealed": bytes, "refusal": int, "reason": str,
    "seen": int, "key_version": int, "settled": int, "lost_at": int,
}  # fmt: skip
_LINE = {"place": int, "student": str, "state": str, "op_id": str, "class_name": str}


class Operation(NamedTuple):
    """One thing done with a card.

    `op`: issue, replace, temporary, wipe, renew or block; `kind`: card, second, fob or temporary; `until`:
    the last day of a temporary card as YYYY-MM-DD, else empty; `at`: UTC seconds; `card_ref` and `uid_ref`:
    keyed references of the credential and of the serial number, in hex; `refusal` and `reason`: what the
    cloud said; `seen`: a person has read that; `key_version`: of the gates' keys on the card, 0 for
    a plain one; `settled`: the cloud's list of cards is newer than its acceptance; `lost_at`: since when a
    blocked card is gone, UTC seconds, else 0.
    """

    number: int
    op_id: str
    op: str
    student: str
    kind: str
    until: str
    at: int
    card_ref: str
    uid_ref: str
    state: str
    refusal: int
    reason: str
    seen: int
    key_version: int
    settled: int
    lost_at: int


class Secret(NamedTuple):
    """What is sealed of an operation: the credential, the serial number as `a:...`, the identity in hex."""

    credential: str
    uid: str
    identity: str

    def __repr__(self) -> str:
        return "Secret()"


class Line(NamedTuple):
    """One pupil of the class in a row."""

    place: int
    student: str
    state: str
    op_id: str
    class_name: str


class Store:
    """One connection for all threads of the desk, one at a time."""

    def __init__(self, folder: Path, seal: Seal) -> None:
        path = folder / "desk.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        self._lock = threading.RLock()
        self._seal = seal
        self._conn = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._conn.execute("PRAGMA synchronous = FULL")
        self._db = sqlite_utils.Database(self._conn)
        if "operation" not in self._db.table_names():
            table = self._db.table("operation")
            table.create(_OPERATION, pk="number")
            table.create_index(["op_id"], unique=True)
            table.create_index(["uid_ref"])
            self._db.table("line").create(_LINE, pk="place")
        for column in ("settled", "lost_at"):
            # A desk that knew its own cards only: no list of the cloud has told of them yet.
            if column not in self._db.table("operation").columns_dict:
                self._conn.execute(f"ALTER TABLE operation ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")

    def __repr__(self) -> str:
        return "Store()"

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._conn.close()

    # Operations.

    def add(self, values: dict[str, Any], secret: Secret, place: int | None = None) -> Operation:
        """Write a new operation down; with a `place`, in the same moment as that pupil's of the queue."""
        sealed = self._seal.close(values["op_id"], json.dumps(list(secret)).encode())
        with self._lock, self._db.atomic():
            row = {"refusal": 0, "reason": "", "seen": 0, "settled": 0, "lost_at": 0, **values}
            row["sealed"] = sealed
            columns = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            self._conn.execute(f"INSERT INTO operation ({columns}) VALUES ({places})", row)  # noqa: S608 own names
            if place is not None:
                self.set_line(place, GIVEN, values["op_id"])
        return self.operation(values["op_id"])

    def operation(self, op_id: str) -> Operation:
        """The operation of that id."""
        return self._select("op_id = ?", [op_id])[0]

    def secret(self, op_id: str) -> Secret:
        """What was sealed; SealBroken when it is wiped or was changed."""
        with self._lock:
            (sealed,) = self._conn.execute("SELECT sealed FROM operation WHERE op_id = ?", [op_id]).fetchone()
        return Secret(*json.loads(self._seal.open(op_id, sealed)))

    def finish(self, op_id: str, state: str, key_version: int) -> None:
        """The card is finished, with gates' keys of that version on it."""
        with self._lock, self._db.atomic():
            self._conn.execute("UPDATE operation SET key_version = ? WHERE op_id = ?", [key_version, op_id])
            self.set_state(op_id, state)

    def set_state(self, op_id: str, state: str, *, refusal: int = 0, reason: str = "") -> None:
        """Move an operation on; what was sealed is wiped when nobody needs it any more."""
        is_over = state in (ACCEPTED, DROPPED)
        with self._lock:
            self._conn.execute(
                "UPDATE operation SET state = ?, refusal = ?, reason = ?, seen = 0,"
                " sealed = CASE WHEN ? THEN x'' ELSE sealed END WHERE op_id = ?",
                [state, refusal, reason, is_over, op_id],
            )

    def send_again(self, op_id: str, fresh: str) -> None:
        """Make a refused operation ready under another op_id: the cloud keeps its answer to the old one."""
        secret = self.secret(op_id)
        sealed = self._seal.close(fresh, json.dumps(list(secret)).encode())
        with self._lock, self._db.atomic():
            self._conn.execute(
                "UPDATE operation SET op_id = ?, sealed = ?, state = ?, refusal = 0, reason = ''"
                " WHERE op_id = ? AND state = ?",
                [fresh, sealed, READY, op_id, REFUSED],
            )
            self._conn.execute("UPDATE line SET op_id = ? WHERE op_id = ?", [fresh, op_id])

    def set_seen(self, op_id: str) -> None:
        """A person has read why it was refused."""
        with self._lock:
            self._conn.execute("UPDATE operation SET seen = 1 WHERE op_id = ?", [op_id])

    def numbered(self, number: int) -> Operation:
        """The operation of that number, which stays when its op_id changes."""
        return self._select("number = ?", [number])[0]

    def in_state(self, state: str, limit: int = -1) -> list[Operation]:
        """Operations of a state, the oldest first."""
        return self._select("state = ?", [state], limit)

    def of_card(self, uid_ref: str) -> list[Operation]:
        """Everything done here with the card of that serial number, the oldest first."""
        return self._select("uid_ref = ?", [uid_ref])

    def of_reference(self, ref: str) -> list[Operation]:
        """Everything done here with a credential, by its reference as devices hold it, the oldest first."""
        return self._select("substr(card_ref, 1, 16) = ?", [ref])

    def settle(self, numbers: Iterable[int]) -> None:
        """The cloud's list of cards was fetched after it accepted these: it tells of them from now on."""
        with self._lock, self._db.atomic():
            self._conn.executemany(
                "UPDATE operation SET settled = 1 WHERE number = ?", [(number,) for number in numbers]
            )

    def unsettled(self) -> list[Operation]:
        """What the cloud accepted and its list of cards does not tell of yet."""
        return self._select("state = ? AND settled = 0", [ACCEPTED])

    def of_student(self, student: str) -> list[Operation]:
        """Everything done here for a pupil, the oldest first."""
        return self._select("student = ?", [student])

    def waiting(self) -> tuple[int, int]:
        """(how many wait for the cloud, since when in UTC seconds or 0)."""
        with self._lock:
            count, since = self._conn.execute(
                "SELECT count(*), min(at) FROM operation WHERE state = ?", [READY]
            ).fetchone()
        return count, since or 0

    def _select(self, where: str, values: list[Any], limit: int = -1) -> list[Operation]:
        names = ", ".join(Operation._fields)
        with self._lock:
            rows = self._conn.execute(
                f"SELECT {names} FROM operation WHERE {where} ORDER BY number LIMIT ?",  # noqa: S608 own names
                [*values, limit],
            ).fetchall()
        return [Operation(*row) for row in rows]

    # The class in a row.

    def start_row(self, class_name: str, students: Iterable[str]) -> None:
        """Begin a queue; the one before is over."""
        with self._lock, self._db.atomic():
            self._conn.execute("DELETE FROM line")
            self._conn.executemany(
                "INSERT INTO line VALUES (?, ?, ?, '', ?)",
                [(place, student, WAITING, class_name) for place, student in enumerate(students)],
            )

    def end_row(self) -> None:
        """No queue any more."""
        with self._lock:
            self._conn.execute("DELETE FROM line")

    def row(self) -> list[Line]:
        """The queue, in its order; empty when there is none."""
        with self._lock:
            return [Line(*row) for row in self._conn.execute("SELECT * FROM line ORDER BY place")]

    def set_line(self, place: int, state: str, op_id: str = "") -> None:
        """A pupil of the queue got a card, was skipped, or waits again."""
        with self._lock:
            self._conn.execute("UPDATE line SET state = ?, op_id = ? WHERE place = ?", [state, op_id, place])
