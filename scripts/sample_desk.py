"""A sample desk for pictures: pupils of one class, cards given before, and what lies on the reader now.

Promises: the product's own page, store and words; only the reader is not there, so what it would have seen is
said here.  Nothing of it is sent anywhere.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from waitress.server import create_server  # type: ignore[import-untyped]

from reader_host.desk import bench as benches
from reader_host.desk import roster, store
from reader_host.desk.app import Parts, create_desk
from reader_host.desk.bench import Bench
from reader_host.desk.keys import DeskKeys
from reader_host.desk.owners import EXACT, OPEN, Owned
from reader_host.desk.roster import Pupil, Roster
from reader_host.desk.seal import Seal
from reader_host.desk.sender import Sender
from reader_host.desk.store import ISSUE, Operation, Secret, Store
from reader_host.desk.work import Look, Work
from reader_host.pcsc import kinds

TOKEN = "pictures"
NAMES = (
    "Белова Анна", "Васильев Пётр", "Григорьева София", "Давыдов Роман", "Егорова Ксения", "Жуков Артём",
    "Зайцева Полина", "Королёв Иван", "Котова Мария", "Лебедев Матвей", "Морозова Дарья", "Николаев Илья",
)  # fmt: skip
GIVEN = 6


def _keys() -> DeskKeys:
    masters = [{"role": role, "version": 1, "key": os.urandom(16).hex()} for role in range(6)]
    return DeskKeys(
        json.dumps({"school": "0badcafe", "masters": masters, "reference_key": os.urandom(32).hex()})
    )


class SampleDesk:
    """One desk at a moment of a morning; `lie(step)` says what lies on its reader."""

    def __init__(self, folder: Path, now: int, port: int) -> None:
        seal = Seal(folder)
        self._now = now
        self._store = Store(folder, seal)
        roster.keep(seal, Roster(tuple(Pupil(f"s{at}", name, "2Б", 0) for at, name in enumerate(NAMES)), now))
        sender = Sender(None, self._store, seal, now=lambda: now, roster_days=7)
        work = Work(_keys(), self._store, now=lambda: now, random_bytes=os.urandom)
        self.bench = Bench(work, self._store)
        self._store.start_row("2Б", [f"s{at}" for at in range(len(NAMES))])
        self._given = [self._give(at) for at in range(GIVEN)]
        self.app: Flask = create_desk(Parts(self.bench, work, self._store, sender, lambda: now, port, TOKEN))

    def _give(self, at: int) -> Operation:
        values = {
            "op_id": f"{at:016x}", "op": ISSUE, "student": f"s{at}", "kind": "card", "until": "",
            "at": self._now - 60 * (GIVEN - at), "card_ref": f"{at:016x}" * 2, "uid_ref": f"{at:032x}",
            "state": store.READY, "key_version": 1,
        }  # fmt: skip
        return self._store.add(values, Secret("", "", ""), at)

    def lie(self, step: str) -> None:
        """SEEN: a new card; DONE: the last one was just given; PUT_BACK: it was pulled away."""
        last = self._given[-1]
        seen = kinds.Seen(kinds.DESFIRE, "MIFARE DESFire EV2", "", kinds.NEW, "")
        if step == benches.SEEN:
            self.bench.show(step, Look(seen, "", kinds.NEW, None, None))
        elif step == benches.DONE:
            given = seen._replace(state=kinds.ISSUED)
            owner = Owned("", last.student, last.kind, last.op, "", last.at, OPEN, EXACT, True)
            self.bench.show(step, Look(given, "", kinds.ISSUED, owner, None), last)
        else:
            self.bench.show(step, None, last if step == benches.PUT_BACK else None)

    def close(self) -> None:
        """Close its store."""
        self._store.close()


@contextmanager
def served(now: int) -> Iterator[tuple[str, SampleDesk]]:
    """(address, desk) of a sample desk on loopback for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        server = create_server(lambda *_: [], host="127.0.0.1", port=0, threads=4)
        desk = SampleDesk(Path(folder), now, server.effective_port)
        server.application = desk.app
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.effective_port}", desk
        finally:
            server.close()
            thread.join(5)
            desk.close()
