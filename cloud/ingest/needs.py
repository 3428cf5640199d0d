"""A card waits at a till that lacks rights: grant, recall from other tills, or say no.

Promises: free = balance + slack - out never falls below 0; a grant is the whole
of what is wanted or nothing; the answer is silence only while a recall that
could suffice is on its way to tills that are online, or were a moment ago: a
till that is starting again answers within the window.  What waits is kept in
memory only: a till asks again while its card waits.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cloud.accounting.service import BY_NEED
from cloud.devices.service import MoneyRules
from cloud.ingest.fleet import Device
from cloud.ingest.outgoing import Post
from cloud.ingest.rights import Right, RightKey, Rights
from protocols.ledger import parent
from protocols.ledger.record import MEAL_CREDIT, MONEY
from protocols.wire.messages import Need

FORGET_AFTER_S = 10
BACK_WITHIN_S = 5


class Desk(NamedTuple):
    """What decisions of one batch are made with.  `room`: CAP_DEVICE less all rights of a device.

    `granted` is told of each grant: device, account_id, bucket, how much more, the new G total.
    """

    rights: Rights
    post: Post
    balance: Callable[[int, int, int], int]
    reserved: Callable[[int, int, int], int]
    room: Callable[[Device], int]
    rules: Callable[[int], MoneyRules]
    device: Callable[[int, int], Device | None]
    granted: Callable[[Device, int, int, int, int], None]


class Waiting:
    """One NEED that has no answer yet.  `done`: holders that have answered their recall."""

    def __init__(self, need: Need, until: int) -> None:
        self.need = need
        self.until = until
        self.done: set[RightKey] = set()


class Needs:
    """The NEEDs of all devices, over the batches of one process."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], Waiting] = {}
        self._granted: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._gone_at: dict[tuple[int, int], int] = {}

    def told(self, place: tuple[int, int], up: bool, now: int) -> None:
        """The broker says that a device (school_id, device_id) is there, or that it is gone."""
        if up:
            self._gone_at.pop(place, None)
        else:
            self._gone_at[place] = now

    def forget_granted(self, device: Device) -> None:
        """The device booted: it may use its NEED numbers again."""
        self._granted.pop(device.key, None)
        self._waiting.pop(device.key, None)

    def forget(self) -> None:
        """A batch was rolled back: what it decided did not happen."""
        self._waiting.clear()
        self._granted.clear()

    def ask(self, device: Device, need: Need, desk: Desk, now: int) -> None:
        """Decide a NEED now or let it wait for a recall."""
        key = (*device.key, device.epoch, need.account, need.bucket)
        if self._granted.get(device.key) == (need.number, need.account, need.bucket):
            desk.post.answer(device, need, desk.rights.get(key).counters.granted)
            return
        waiting = self._waiting.get(device.key)
        if waiting is None or waiting.need != need:
            waiting = self._waiting[device.key] = Waiting(need, now)
        waiting.until = now + FORGET_AFTER_S
        self._decide(device, waiting, desk, now)

    def returned(self, keys: Iterable[RightKey], desk: Desk, now: int) -> None:
        """Holders answered recalls: decide again what waits for them."""
        touched: dict[tuple[int, int, int], set[RightKey]] = {}
        for key in keys:
            touched.setdefault((key[0], key[3], key[4]), set()).add(key)
        for place, waiting in list(self._waiting.items()):
            if waiting.until < now:
                del self._waiting[place]
                continue
            answered = touched.get((place[0], waiting.need.account, waiting.need.bucket))
            device = desk.device(*place) if answered else None
            if answered and device is not None:
                waiting.done |= answered
                self._decide(device, waiting, desk, now)

    def accounts(self) -> set[tuple[int, int]]:
        """(school_id, account_id) of everything that waits."""
        return {(place[0], waiting.need.account) for place, waiting in self._waiting.items()}

    def devices(self) -> set[tuple[int, int]]:
        """(school_id, device_id) of the tills where something waits."""
        return set(self._waiting)

    def _decide(self, device: Device, waiting: Waiting, desk: Desk, now: int) -> None:
        need = waiting.need
        key = (*device.key, device.epoch, need.account, need.bucket)
        own = desk.rights.get(key)
        may_have = need.bucket in (MONEY, MEAL_CREDIT) and device.kind == parent.CANTEEN and need.wanted > 0
        # After a restore nobody knows yet what is out: nothing is granted.
        if may_have and not device.in_recovery:
            rules, room = desk.rules(device.school_id), desk.room(device)
            balance = desk.balance(device.school_id, need.account, need.bucket)
            out = desk.rights.out(device.school_id, need.account, need.bucket)
            reserved = desk.reserved(device.school_id, need.account, need.bucket)
            free = parent.free(balance, rules.slack(need.bucket), out, reserved)
            more = parent.grantable(need.wanted, free, own.rights, rules.cap_minor, room)
            possible = parent.grantable(need.wanted, need.wanted, own.rights, rules.cap_minor, room)
            if more == need.wanted:
                total = desk.rights.grant(key, more, (BY_NEED, need.number))
                self._granted[device.key] = need.number, need.account, need.bucket
                desk.granted(device, need.account, need.bucket, more, total)
            elif possible == need.wanted and self._recall(key, waiting, desk, need.wanted - free, now):
                return
        del self._waiting[device.key]
        desk.post.answer(device, need, own.counters.granted)

    def _recall(self, key: RightKey, waiting: Waiting, desk: Desk, missing: int, now: int) -> bool:
        """Ask other tills for `missing`; False when those that can answer do not have it."""
        school_id, account_id, bucket = key[0], key[3], key[4]
        others: list[tuple[RightKey, Right, Device]] = []
        for other, right in desk.rights.holders(school_id, account_id, bucket):
            can_answer = right.online or now - self._gone_at.get(other[:2], 0) < BACK_WITHIN_S
            holder = desk.device(school_id, other[1]) if can_answer and right.rights > 0 else None
            is_asked = other == key or other in waiting.done or holder is None or holder.epoch != other[2]
            if not is_asked and holder is not None:
                others.append((other, right, holder))
        if sum(right.rights for _key, right, _device in others) < missing:
            return False
        others.sort(key=lambda each: (-each[1].rights, each[0]))
        for other, right, holder in others:
            if missing <= 0:
                break
            part = min(right.rights, missing)
            missing -= part
            recall(desk.rights, desk.post, holder, other, part)
        return True


def recall(rights: Rights, post: Post, holder: Device, key: RightKey, part: int) -> None:
    """Ask a holder to give back `part` of what it has under a key, by the R total to reach."""
    right = rights.get(key)
    target = max(right.recall_target, right.counters.returned + part)
    if target != right.recall_target:
        rights.touch(key).recall_target = target
    granted = right.counters.granted
    untold = granted if right.journaled < granted else None
    post.recall(holder, key[3], key[4], target, untold)
