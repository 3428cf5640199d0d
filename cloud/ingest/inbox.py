"""From MQTT payloads to checked messages: topic, device, epoch, MAC, incarnation, in that order of doubt.

Promises: nothing of a body is parsed before its MAC is right; a bad message
changes nothing but a count, by the device of its topic and by refusal number.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.db import lock_school
from cloud.ingest import store
from cloud.ingest.fleet import Device, Fleet
from protocols.errors import WIRE_DEVICE_UNKNOWN, WIRE_EPOCH, WIRE_INCARNATION, WIRE_TOPIC, Fault
from protocols.wire import envelope, topics

_OF_ANY_EPOCH = (envelope.HELLO, envelope.RECS)
_JUMP_MAX = 10_000
Place = tuple[int, int]
"""(school_id, device_id)"""


class Incoming(NamedTuple):
    """A message as the broker handed it over."""

    topic: str
    payload: bytes


class Checked(NamedTuple):
    """An authentic message of a device; `body` is not parsed yet.  `incarnation`: its counter and id."""

    device: Device
    type: int
    body: bytes
    incarnation: tuple[int, int]


class Inbox(NamedTuple):
    """What a batch of messages holds.

    `older`: earlier epochs that speak.  `states`: what the broker says of a
    device's connection, the last word counts.  `refusals`: (school_id, device_id,
    refusal number) to how many, with 0 for a school or device that nobody knows.
    `newer`: school_id to the highest incarnation that an authentic HELLO knows
    and this cloud does not.
    """

    devices: dict[Place, Device]
    older: dict[tuple[int, int, int], Device]
    checked: list[Checked]
    states: dict[Place, bool]
    refusals: Counter[tuple[int, int, int]]
    newer: dict[int, int]


class _Claim(NamedTuple):
    """A message that may be a device's: who it says it is from, on which topic."""

    place: Place
    head: envelope.Head
    payload: bytes


def sort(conn: Connection, fleet: Fleet, incoming: Sequence[Incoming]) -> Inbox:
    """Check a batch.  Locks the schools it speaks of, then reads their devices."""
    claims: list[_Claim] = []
    refused: list[tuple[Place, int]] = []
    states: dict[Place, bool] = {}
    for message in incoming:
        place = (0, 0)
        try:
            school_id, device_id, leaf = topics.parse(message.topic)
            place = school_id, device_id
            if leaf == topics.STATE:
                states[place] = message.payload == topics.ONLINE
            elif leaf == topics.UP:
                claims.append(
                    _Claim(place, envelope.peek(message.payload, envelope.TO_CLOUD), message.payload)
                )
            else:
                raise Fault(WIRE_TOPIC, leaf)
        except Fault as fault:
            refused.append((place, fault.code))
    wanted = {claim.place for claim in claims} | {place for place, _code in refused} | states.keys()
    wanted |= {(claim.head.school, claim.head.device) for claim in claims}
    schools = store.known_schools(conn, sorted({school_id for school_id, _device in wanted}))
    for school_id in sorted(schools):
        lock_school(conn, school_id)
    devices = fleet.read(conn, (place for place in wanted if place[0] in schools))
    older = fleet.read_older(conn, _of_older(claims, devices))
    checked: list[Checked] = []
    newer: dict[int, int] = {}
    for claim in claims:
        try:
            opened = _open(devices, older, claim)
            if is_newer(opened):
                school_id, counter = opened.device.school_id, opened.incarnation[0]
                newer[school_id] = max(counter, newer.get(school_id, 0))
                raise Fault(WIRE_INCARNATION, f"incarnation {counter}")
            opened.device.heard = True
            checked.append(opened)
        except Fault as fault:
            refused.append((claim.place, fault.code))
    counts = Counter((*_blamed(place, schools, devices), code) for place, code in refused)
    states = {place: up for place, up in states.items() if place in devices}
    return Inbox(devices, older, checked, states, counts, newer)


def nothing(devices: dict[Place, Device]) -> Inbox:
    """An inbox without messages, for work that comes from the database."""
    return Inbox(devices, {}, [], {}, Counter(), {})


def _of_older(claims: list[_Claim], devices: dict[Place, Device]) -> set[tuple[int, int, int]]:
    """(school_id, device_id, epoch) of claims that are not of a device's present epoch."""
    found = set()
    for claim in claims:
        device = devices.get((claim.head.school, claim.head.device))
        if device is not None and claim.head.epoch != device.epoch:
            found.add((*device.key, claim.head.epoch))
    return found


def _open(devices: dict[Place, Device], older: dict[tuple[int, int, int], Device], claim: _Claim) -> Checked:
    """The checked message, or a Fault of the wire."""
    head = claim.head
    device = devices.get((head.school, head.device))
    if device is None:
        raise Fault(WIRE_DEVICE_UNKNOWN, "device")
    if head.epoch != device.epoch:
        device = older.get((*device.key, head.epoch))
    # Late records of an epoch that is over are welcome; it is granted and told nothing any more.
    if device is None or not (device.is_open or head.type in _OF_ANY_EPOCH):
        raise Fault(WIRE_EPOCH, f"epoch {head.epoch}")
    opened = envelope.open_envelope(device.keys.up, head, claim.payload, *claim.place)
    message = Checked(device, head.type, opened.body, (head.incarnation, head.incarnation_id))
    is_same = message.incarnation == (device.incarnation, device.incarnation_id)
    if head.incarnation >= device.incarnation and not is_same and not is_newer(message):
        raise Fault(WIRE_INCARNATION, f"incarnation {head.incarnation}")
    return message


def is_newer(message: Checked) -> bool:
    """Whether this HELLO knows a parent after us: our database is older than what devices were told.

    A jump beyond all restores of a school's life is no witness but a stolen key.
    """
    own, own_id = message.device.incarnation, message.device.incarnation_id
    told, told_id = message.incarnation
    is_after = own < told <= own + _JUMP_MAX or (told == own and told_id != own_id)
    return message.type == envelope.HELLO and is_after


def _blamed(place: Place, schools: set[int], devices: dict[Place, Device]) -> Place:
    if place in devices:
        return place
    return (place[0], 0) if place[0] in schools else (0, 0)
