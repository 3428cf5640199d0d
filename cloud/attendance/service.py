"""Passages: what the gates saw, and the answer to "is my child there".

Promises: a passage is kept once for each record of a device; an entry or exit
counts when the rotor turned, a tap without a turn is kept and proves nothing;
a passage that a command opened has no account and is none here;
the answer has three states, and without a turn it is unknown, never absent.
Leaves gates that are silent to cloud/devices and messages to the caller, who
puts them into the outbox in the same transaction.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.attendance import store

IN, OUT, UNKNOWN = "in", "out", "unknown"


class Passage(NamedTuple):
    """A PASS record with its end: `seq` is that of the TURNED or NOT_TURNED record.

    `day`: days since 1970-01-01 by the school's calendar; `happened_at` by the
    device and `learnt_at` by the cloud, UTC seconds; `direction`: in or out.
    """

    device_id: int
    epoch: int
    seq: int
    account_id: int
    day: int
    happened_at: int
    learnt_at: int
    direction: str
    turned: bool


class Answer(NamedTuple):
    """`state` is in, out or unknown; the rest is of the passage that says so, 0 when unknown."""

    state: str
    since: int
    learnt_at: int
    device_id: int


class Counts(NamedTuple):
    """Passages of a day: rotor turned inwards, outwards, not at all."""

    entries: int
    exits: int
    taps_without_passage: int


def record_passages(conn: Connection, school_id: int, passages: Iterable[Passage]) -> list[Passage]:
    """Keep passages and return those that were new, in their order; the same record again is not."""
    of_device: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    listed = list(passages)
    for passage in listed:
        of_device[passage.device_id, passage.epoch].add(passage.seq)
    known = {
        (device_id, epoch, seq)
        for (device_id, epoch), seqs in of_device.items()
        for seq in store.known(conn, school_id, device_id, epoch, sorted(seqs))
    }
    fresh = []
    for passage in listed:
        if passage[:3] not in known:
            known.add(passage[:3])
            fresh.append(passage)
    store.add(conn, [(school_id, *passage[:8], int(passage.turned)) for passage in fresh])
    return fresh


def today(conn: Connection, school_id: int, account_id: int, day: int) -> list[Passage]:
    """All passages of a child on a day, by the time they happened, also taps without a turn."""
    return [
        Passage(
            row.device_id, row.epoch, row.seq, row.account_id, row.day, row.happened_at, row.learnt_at,
            row.direction, bool(row.turned),
        )
        for row in store.of_day(conn, school_id, account_id, day)
    ]  # fmt: skip


def answer(passages: Iterable[Passage]) -> Answer:
    """Where a child is by the last turn among `passages` (as `today` gives them)."""
    last = None
    for passage in passages:
        if passage.turned:
            last = passage
    if last is None:
        return Answer(UNKNOWN, 0, 0, 0)
    return Answer(last.direction, last.happened_at, last.learnt_at, last.device_id)


def counts(conn: Connection, school_id: int, day: int | None = None) -> Counts:
    """Counts of a day, or of all days when `day` is None."""
    number: defaultdict[tuple[str, bool], int] = defaultdict(int)
    for row in store.counts(conn, school_id, day):
        number[row.direction, bool(row.turned)] += row.number
    return Counts(number[IN, True], number[OUT, True], number[IN, False] + number[OUT, False])
