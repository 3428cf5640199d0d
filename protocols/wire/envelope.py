"""The envelope of every message: who, to whom, which, how long, and a MAC over all of it.

     0  u8  version (1)        12  u32 epoch              28 u16 body length n
     1  u8  direction          16  u32 incarnation        30 n B body
     2  u8  type               20  u32 incarnation id     30+n 16 B MAC
     3  u8  zero               24  u32 counter
     4  u32 school
     8  u32 device

MAC = first 16 bytes of HMAC-SHA256(K, everything before it), K = the sub-key
up, down or table of that (device, epoch).  Nothing of a body is parsed before
the MAC and the topic agree.
"""

from collections import namedtuple

from protocols.errors import (
    WIRE_DIRECTION,
    WIRE_LENGTH,
    WIRE_MAC,
    WIRE_TOPIC,
    WIRE_TYPE,
    WIRE_VERSION,
    Fault,
)
from protocols.fields import Layout
from protocols.mac import equal, hmac_sha256

VERSION = 1
MAC_SIZE = 16
SIZE_MAX = 1024

TO_CLOUD = 1
TO_DEVICE = 2

HELLO = 1
RECS = 2
NEED = 3
WANT = 4
ACK = 16
GRANT = 17
RECALL = 18
TABLE = 19
LOCK = 20
EPOCH = 21
TIME = 22
SETTINGS = 23
CHUNK = 24
ANSWER = 25
COMMAND = 26

_DIRECTIONS = {
    HELLO: TO_CLOUD,
    RECS: TO_CLOUD,
    NEED: TO_CLOUD,
    WANT: TO_CLOUD,
    ACK: TO_DEVICE,
    GRANT: TO_DEVICE,
    RECALL: TO_DEVICE,
    TABLE: TO_DEVICE,
    LOCK: TO_DEVICE,
    EPOCH: TO_DEVICE,
    TIME: TO_DEVICE,
    SETTINGS: TO_DEVICE,
    CHUNK: TO_DEVICE,
    ANSWER: TO_DEVICE,
    COMMAND: TO_DEVICE,
}

Head = namedtuple("Head", ("type", "school", "device", "epoch", "incarnation", "incarnation_id", "counter"))
Envelope = namedtuple("Envelope", ("head", "body"))

_HEADER = Layout(
    "envelope",
    "version u8, direction u8, type u8, zero u8, school u32, device u32, epoch u32, "
    "incarnation u32, incarnation_id u32, counter u32, length u16",
)
BODY_MAX = SIZE_MAX - _HEADER.size - MAC_SIZE


def seal(key: bytes, head: Head, body: bytes) -> bytes:
    """The bytes to publish; Fault(WIRE_LENGTH) for a body that does not fit in 1 KiB."""
    if len(body) > BODY_MAX:
        raise Fault(WIRE_LENGTH, "type %d" % head.type, "%d B" % len(body))
    header = _HEADER.pack(
        VERSION,
        _DIRECTIONS[head.type],
        head.type,
        0,
        head.school,
        head.device,
        head.epoch,
        head.incarnation,
        head.incarnation_id,
        head.counter,
        len(body),
    )
    return header + body + hmac_sha256(key, header, body)[:MAC_SIZE]


def peek(payload: bytes, direction: int) -> Head:
    """The head of a message whose MAC is not yet checked: only to find the key by it.

    Refuses by length, version, direction and type, in that order.
    """
    if not _HEADER.size + MAC_SIZE <= len(payload) <= SIZE_MAX:
        raise Fault(WIRE_LENGTH, "message", "%d B" % len(payload))
    fields = _HEADER.unpack(payload)
    if fields[10] != len(payload) - _HEADER.size - MAC_SIZE:
        raise Fault(WIRE_LENGTH, "body", "%d B" % fields[10])
    if fields[0] != VERSION or fields[3] != 0:
        raise Fault(WIRE_VERSION, "version %d" % fields[0])
    if fields[1] != direction:
        raise Fault(WIRE_DIRECTION, "direction %d" % fields[1])
    if _DIRECTIONS.get(fields[2]) != direction:
        raise Fault(WIRE_TYPE, "type %d" % fields[2])
    return Head(fields[2], *fields[4:10])


def open_envelope(key: bytes, head: Head, payload: bytes, school: int, device: int) -> Envelope:
    """The checked message: `school` and `device` are those of the topic.

    Raises Fault(WIRE_MAC) or Fault(WIRE_TOPIC); the epoch and the incarnation
    are for the receiver to judge.
    """
    cut = len(payload) - MAC_SIZE
    if not equal(hmac_sha256(key, payload[:cut])[:MAC_SIZE], payload[cut:]):
        raise Fault(WIRE_MAC, "type %d" % head.type)
    if head.school != school or head.device != device:
        raise Fault(WIRE_TOPIC, "type %d" % head.type)
    return Envelope(head, payload[_HEADER.size : cut])
