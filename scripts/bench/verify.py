"""`bench verify`: how fast the cloud verifies chains and posts what they say, beside bare HMAC.

Promises: the day of `bench ingest`, the product's own functions in one process, no broker.  Three ways take
the same records: HMAC over state and body alone; the whole test of each RECS message as a continuation of its
journal (crc, tag, numbers, head); and everything up to the commit (message MACs, chain, rules, books,
archive), in batches of the same size as those of ingest.
"""

from __future__ import annotations

import os
import tempfile
import time
from hmac import digest
from pathlib import Path
from statistics import median

from cloud import db
from cloud.archive import Archive
from cloud.ingest import chain
from cloud.ingest.service import Incoming, Ingest
from cloud.keys import Vault
from protocols.ledger import record
from protocols.mac import MAC_SIZE, Hmac
from protocols.wire import envelope, messages
from scripts.bench import school_day
from scripts.bench.report import BenchError, Goal, Report, Row
from scripts.bench.school_day import SchoolDay

_BATCH_MESSAGES = 100
_SHARE_OF_HMAC = 0.02


def run(*, records: int, rounds: int) -> Report:
    """Measure `rounds` times; raises BenchError when something is refused."""
    taken: dict[str, list[float]] = {"hmac": [], "chain": [], "books": []}
    for _round in range(rounds):
        with tempfile.TemporaryDirectory(prefix="klasskart-bench-") as name:
            day = school_day.make(Path(name), records=records, broker_port=1)
            bodies = _bodies(day)
            taken["hmac"].append(day.records / _bare(bodies))
            taken["chain"].append(day.records / _chains(day))
            taken["books"].append(day.records / _books(day))
    bare, verified, posted = (median(taken[way]) for way in taken)
    rows = [
        Row("bare HMAC", "state and body of each record", bare, "records/s", note="hmac.digest in a loop"),
        Row("verified", "crc, tag, number, head", verified, "records/s", verified / bare, "bare HMAC"),
        Row("verified and posted", "up to the commit", posted, "records/s", posted / bare, "bare HMAC"),
    ]
    settings = {
        "records": records, "rounds": rounds, "batch": f"{_BATCH_MESSAGES} messages", "database": "SQLite",
        "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    }  # fmt: skip
    goals = [
        Goal("verified, share of bare HMAC", verified / bare, 0.25, at_least=True),
        Goal("verified and posted, share of bare HMAC", posted / bare, _SHARE_OF_HMAC, at_least=True),
    ]
    return Report("verify", settings, goals, rows)


def _bodies(day: SchoolDay) -> list[bytes]:
    return [record.pack_body(item) for journal in day.journals for item in journal.items]


def _bare(bodies: list[bytes]) -> float:
    key, mac = bytes(32), bytes(MAC_SIZE)
    started = time.perf_counter()
    for body in bodies:
        mac = digest(key, mac + body, "sha256")
    return time.perf_counter() - started


def _chains(day: SchoolDay) -> float:
    """Every message of every device, opened beforehand, tested as a continuation of its journal."""
    keys = {journal.device: journal.keys for journal in day.journals}
    heads = {
        journal.device: (1, record.genesis(journal.keys.chain, journal.device, journal.epoch))
        for journal in day.journals
    }
    hmacs = {device: Hmac(key.chain) for device, key in keys.items()}
    opened = []
    for message in day.stream:
        head = envelope.peek(message.payload, envelope.TO_CLOUD)
        body = envelope.open_envelope(
            keys[message.device].up, head, message.payload, day.school_id, message.device
        )
        opened.append((message.device, messages.unpack_recs(body.body)))
    started = time.perf_counter()
    for device, recs in opened:
        next_seq, mac = heads[device]
        taken = chain.take(hmacs[device], next_seq, mac, recs, lambda first, after: b"")
        if taken.refusal:
            raise BenchError(f"a chain was refused: {taken.refusal}")
        heads[device] = next_seq + recs.count, taken.head_mac
    return time.perf_counter() - started


def _books(day: SchoolDay) -> float:
    engine = db.engine(day.config.database_url)
    ingest = Ingest(
        engine, Vault(day.config.keys_dir), Archive(day.config.archive_dir), lambda: school_day.NOW
    )
    ingest.handle([Incoming(*journal.hello()[:2]) for journal in day.journals])
    incoming = [Incoming(*message[:2]) for message in day.stream]
    started = time.perf_counter()
    for start in range(0, len(incoming), _BATCH_MESSAGES):
        ingest.handle(incoming[start : start + _BATCH_MESSAGES])
    took = time.perf_counter() - started
    engine.dispose()
    if ingest.record_count != day.records:
        raise BenchError(f"{ingest.record_count} of {day.records} records reached the books")
    return took
