"""post(): whole balanced entries into the books, once per external key.

Promises: an entry is written whole and balanced or not at all; the same entry
again is a success that changes nothing, the same key with other content is
refused, kept and counted; cached balances and the head of the chain move in
the same transaction.  Hundreds of entries cost the same few statements as one.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import chain, store
from protocols.errors import EMPTY_ENTRY, KEY_REUSED, OK, UNBALANCED
from protocols.ids import hex8

BANK = "world:bank"
CATERER = "caterer:1"
SUSPENSE_RULE = "suspense:rule"
CLAIM = "world:claim"
"""The other side of what a device sold without a right: no purse is touched before a person decides."""
LOST_CARDS = "loss:card"
"""What the school pays for purchases with cards that were reported lost."""
PURSES = "purse:"
CREDITS = "credit:"
"""What a pupil owes for hot meals, below zero: the balance of the bucket meal credit, beside the purse."""
BENEFITS = "benefit:"
"""A pupil's funded meals pass through here on their way from the fund to the caterer: always zero."""


class Entry(NamedTuple):
    """One entry to post.

    `external_key`: what makes it the same entry, unique in the school; `kind`:
    see the table entry; `postings`: (account code, amount in minor units),
    their sum is 0; `device_id`, `epoch`, `seq`: its record on a device, if any;
    `corrects`: the external key of the entry that it takes back, if any.
    What is compared under a key is the kind, the record and the postings: the
    time, the reason and what it corrects only describe.
    """

    external_key: str
    kind: str
    happened_at: int
    postings: Sequence[tuple[str, int]]
    device_id: int | None = None
    epoch: int | None = None
    seq: int | None = None
    reason: str = ""
    corrects: str = ""


class PostResult(NamedTuple):
    """`entry_id` in the books, 0 when refused; `refusal` a number of protocols.errors, 0 for success."""

    entry_id: int
    refusal: int


class RefusedEntry(NamedTuple):
    """Content that came under a used key or was no entry: someone has to look at it."""

    external_key: str
    code: int
    times: int
    first_at: int
    last_at: int
    content: dict[str, Any]


def purse(account_id: int) -> str:
    """The code of a pupil's purse."""
    return PURSES + hex8(account_id)


def credit(account_id: int) -> str:
    """The code of what a pupil owes for hot meals."""
    return CREDITS + hex8(account_id)


def post(conn: Connection, school_id: int, entries: Sequence[Entry], now: int) -> list[PostResult]:
    """Post entries in order, in the caller's transaction; one result for each.

    Refusals: EMPTY_ENTRY, UNBALANCED, KEY_REUSED.  A refused entry writes
    nothing to the books and is kept for a person.
    """
    if not entries:
        return []
    # Accounts never change, so they are looked up before the others have to wait.
    ids = store.account_ids(conn, school_id, {code for each in entries for code, _amount in each.postings})
    by_key, head = store.take_turn(conn, school_id, [entry.external_key for entry in entries])
    known = _known_contents(conn, school_id, by_key)
    next_id = head.entry_count + 1
    results: list[PostResult] = []
    fresh: list[tuple[int, Entry]] = []
    refused: list[tuple[Entry, int]] = []
    for entry in entries:
        refusal = _shape_refusal(entry)
        earlier = known.get(entry.external_key)
        if not refusal and earlier is not None:
            refusal = OK if _same(earlier[1], entry) else KEY_REUSED
        if refusal:
            refused.append((entry, refusal))
            results.append(PostResult(0, refusal))
        elif earlier is not None:
            results.append(PostResult(earlier[0], OK))
        else:
            known[entry.external_key] = next_id, entry
            fresh.append((next_id, entry))
            results.append(PostResult(next_id, OK))
            next_id += 1
    _write(conn, school_id, head, ids, fresh, now)
    if refused:
        store.add_refused(conn, [_refused_row(school_id, entry, code, now) for entry, code in refused])
    return results


def _shape_refusal(entry: Entry) -> int:
    """EMPTY_ENTRY without lines or with a line of 0, UNBALANCED when the lines do not add up to 0."""
    total = 0
    for _code, amount in entry.postings:
        if not amount:
            return EMPTY_ENTRY
        total += amount
    if total:
        return UNBALANCED
    return OK if entry.postings else EMPTY_ENTRY


def _known_contents(
    conn: Connection, school_id: int, by_key: Mapping[str, int]
) -> dict[str, tuple[int, Entry]]:
    """external_key to (entry_id, what stands in the books), of those that are there."""
    if not by_key:
        return {}
    rows = store.contents(conn, school_id, by_key.values())
    known = {}
    for key, entry_id in by_key.items():
        row, postings = rows[entry_id]
        stored = Entry(
            key, row.kind, row.happened_at, postings, row.device_id, row.epoch, row.seq, row.reason,
            row.corrects,
        )  # fmt: skip
        known[key] = entry_id, stored
    return known


def _same(one: Entry, other: Entry) -> bool:
    if (one.kind, one.device_id, one.epoch, one.seq) != (other.kind, other.device_id, other.epoch, other.seq):
        return False
    return sorted(one.postings) == sorted(other.postings)


def _write(
    conn: Connection,
    school_id: int,
    head: chain.Head,
    ids: dict[str, int],
    fresh: Sequence[tuple[int, Entry]],
    now: int,
) -> None:
    if not fresh:
        return
    codes = {code for _id, entry in fresh for code, _amount in entry.postings}
    if missing := codes - ids.keys():
        ids = ids | _accounts(conn, school_id, missing)
    changes: defaultdict[int, int] = defaultdict(int)
    entries, postings = [], []
    last = head.hash
    for entry_id, (key, kind, happened_at, lines, device_id, epoch, seq, reason, corrects) in fresh:
        content = chain.entry_bytes(
            entry_id, (key, kind, reason, corrects), (happened_at, now), (device_id, epoch, seq), lines
        )
        last = chain.follow(last, content)
        entries.append(
            (school_id, entry_id, key, kind, happened_at, now, device_id, epoch, seq, reason, corrects, last)
        )
        for line, (code, amount) in enumerate(lines, 1):
            account = ids[code]
            changes[account] += amount
            postings.append((school_id, entry_id, line, account, amount))
    head = chain.Head(fresh[-1][0], last)
    store.write(conn, school_id, entries=entries, postings=postings, changes=changes, head=head)


def _accounts(conn: Connection, school_id: int, codes: set[str]) -> dict[str, int]:
    ids = store.account_ids(conn, school_id, codes)
    missing = sorted(codes - ids.keys())
    return ids | store.open_accounts(conn, school_id, missing) if missing else ids


def _refused_row(
    school_id: int, entry: Entry, code: int, now: int
) -> tuple[int, str, bytes, int, int, dict[str, Any]]:
    content = {
        "kind": entry.kind,
        "device_id": entry.device_id,
        "epoch": entry.epoch,
        "seq": entry.seq,
        "postings": sorted(entry.postings),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    return school_id, entry.external_key, digest, code, now, content


def refused_entries(conn: Connection, school_id: int, limit: int = 100) -> list[RefusedEntry]:
    """What post() refused, the latest first."""
    made = []
    for row in store.refused(conn, school_id, limit):
        content = json.loads(row.content) if isinstance(row.content, str) else row.content
        made.append(RefusedEntry(row.external_key, row.code, row.times, row.first_at, row.last_at, content))
    return made
