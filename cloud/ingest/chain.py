"""Whether records continue a device's journal: the chain of MACs, repeats, gaps and forks.

Promises: of a message nothing is taken, or exactly the records that are new;
the same records again are no news, the same numbers with other bytes an alarm.
Pure: the caller knows what stands in the books and keeps the result.
"""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from protocols.errors import CHAIN_BROKEN, CHAIN_FORK, CHAIN_GAP, OK, RECORD_CRC
from protocols.ledger import record
from protocols.mac import Hmac, equal
from protocols.wire.messages import Recs

_TAGGED = Struct("<28sI")
_SEQ = Struct("<4xI24x")

Known = Callable[[int, int], bytes]
"""(first seq, seq after the last) to the raw records as they were taken before."""


class Taken(NamedTuple):
    """`raw`: the new records, maybe none; `head_mac`: the chain after them; `refusal`: why none were taken.

    CHAIN_GAP is no fault of the device: a message before this one was lost.
    """

    raw: bytes
    head_mac: bytes
    refusal: int


def take(chain: Hmac, next_seq: int, head_mac: bytes, recs: Recs, known: Known) -> Taken:
    """Judge a RECS against a journal that is known up to `next_seq`, chain state `head_mac`."""
    if recs.from_seq > next_seq:
        return Taken(b"", head_mac, CHAIN_GAP)
    old = min(next_seq - recs.from_seq, recs.count)
    if old and recs.raw[: old * record.SIZE] != known(recs.from_seq, recs.from_seq + old):
        return Taken(b"", head_mac, CHAIN_FORK)
    if not old and not equal(recs.previous_mac, head_mac):
        return Taken(b"", head_mac, CHAIN_FORK)
    fresh = recs.raw[old * record.SIZE :]
    if not fresh:
        return Taken(b"", head_mac, OK)
    return _follow(chain, next_seq, head_mac, fresh, recs.head_mac)


def macs(chain: Hmac, recs: Recs) -> list[bytes]:
    """The chain state after each record of a RECS that continues its own `previous_mac`; else nothing."""
    if _follow(chain, recs.from_seq, recs.previous_mac, recs.raw, recs.head_mac).refusal:
        return []
    found, mac = [], recs.previous_mac
    for start in range(0, len(recs.raw), record.SIZE):
        mac = chain.mac(mac, recs.raw[start : start + record.BODY])
        found.append(mac)
    return found


def of_branch(chain: Hmac, previous_mac: bytes, raw: bytes) -> Recs:
    """The RECS that these raw records came in."""
    mac = previous_mac
    for start in range(0, len(raw), record.SIZE):
        mac = chain.mac(mac, raw[start : start + record.BODY])
    return Recs(_SEQ.unpack_from(raw)[0], len(raw) // record.SIZE, previous_mac, mac, raw)


def archived(chain: Hmac, next_seq: int, head_mac: bytes, raw: bytes) -> Taken:
    """What of raw records from the archive, which has no MACs beside them, continues a journal."""
    first = _SEQ.unpack_from(raw)[0]
    fresh = raw[(next_seq - first) * record.SIZE :] if first <= next_seq else b""
    if not fresh:
        return Taken(b"", head_mac, OK if first <= next_seq else CHAIN_GAP)
    mac = head_mac
    for start in range(0, len(fresh), record.SIZE):
        mac = chain.mac(mac, fresh[start : start + record.BODY])
    return _follow(chain, next_seq, head_mac, fresh, mac)


def _follow(chain: Hmac, next_seq: int, head_mac: bytes, fresh: bytes, last_mac: bytes) -> Taken:
    """record.follow for many records at once; a test compares the two."""
    mac = head_mac
    for tagged, check in _TAGGED.iter_unpack(fresh):
        if crc32(tagged) != check:
            return Taken(b"", head_mac, RECORD_CRC)
        mac = chain.mac(mac, tagged[: record.BODY])
        if mac[: record.TAG] != tagged[record.BODY :]:
            return Taken(b"", head_mac, CHAIN_BROKEN)
    for place, (seq,) in enumerate(_SEQ.iter_unpack(fresh)):
        if seq != next_seq + place:
            return Taken(b"", head_mac, CHAIN_BROKEN)
    if not equal(mac, last_mac):
        return Taken(b"", head_mac, CHAIN_BROKEN)
    return Taken(fresh, mac, OK)
