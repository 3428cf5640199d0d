"""The way of a message from the outbox to its channel, in three steps that survive a kill between any two.

1. claim (a transaction): take waiting facts for a while, write a message for
   each adult, sealed; drop what is stale or has nobody to be told.
2. send (no transaction): hand each message to the channel under an id that is
   made of the fact, so that a second try, also after a restored backup, is the
   same message for a channel that can see it.
3. settle (a transaction): mark what was sent, close facts that are done, put
   the others off.

A worker that dies leaves its claim to run out, and the next one repeats the
step that was not finished.  Leaves the loop and the signals to cloud/worker.py.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row

from cloud.db import begin, reading
from cloud.keys import Vault
from cloud.meals import service as meals
from cloud.notifications import render, store
from cloud.notifications.channel import FAILED, SENT, Channel, ChannelDown, Delivery, Message
from cloud.notifications.sealing import opened, sealed
from cloud.people import service as people

BATCH = 100
LEASE_S = 20
CODE_LIFE_S = 300
TRIES_MAX = 10
_BACK_OFF_S = (2, 5, 15, 60, 300, 600)
_CODE = "login_code"


class Job(NamedTuple):
    """A message that is to be sent now; `number` is its row's."""

    number: int
    outbox_id: int
    message: Message


class Claim(NamedTuple):
    """What one worker took, its own until `until`: how many facts, those to be told, and their messages."""

    taken: int
    facts: list[Row]
    jobs: list[Job]
    until: int


def deliver(
    engine: Engine,
    vault: Vault,
    channel: Channel,
    clock: Callable[[], int],
    *,
    batch: int = BATCH,
    lease_s: int = LEASE_S,
) -> int:
    """Take one batch of waiting facts all the way; returns how many facts were taken, 0 when none waits."""
    with reading(engine) as conn:
        if not store.anything_waits(conn, clock()):
            return 0
    now = clock()
    with begin(engine) as conn:
        claim = _claim(conn, vault, channel.name, now, batch=batch, lease_s=lease_s)
    outcomes: dict[int, Delivery | None] = {}
    for job in claim.jobs:
        if outcomes and clock() >= claim.until - lease_s // 4:
            break  # too slow: what is left may soon be another worker's
        outcomes[job.number] = _send(channel, job.message)
    with begin(engine) as conn:
        _settle(conn, claim, outcomes, clock())
    return claim.taken


def _send(channel: Channel, message: Message) -> Delivery | None:
    """The channel's answer, or None for "not now"."""
    try:
        return channel.send(message)
    except ChannelDown:
        return None


def _claim(conn: Connection, vault: Vault, channel: str, now: int, *, batch: int, lease_s: int) -> Claim:
    taken = store.claim(conn, now, now + lease_s, batch)
    facts: list[Row] = []
    jobs: list[Job] = []
    by_school: defaultdict[int, list[Row]] = defaultdict(list)
    for fact in taken:
        by_school[fact.school_id].append(fact)
    for school_id, of_school in by_school.items():
        school = people.school(conn, school_id)
        fresh = _without_stale(conn, of_school, school, now)
        told = _write_messages(conn, vault, channel, school, fresh, now)
        facts += told
        jobs += _jobs(conn, vault, school, told)
    return Claim(len(taken), facts, jobs, now + lease_s)


def _without_stale(conn: Connection, facts: Sequence[Row], school: people.School, now: int) -> list[Row]:
    """The facts that are still worth telling; the others are closed, and their texts wiped."""
    stale = []
    for fact in facts:
        limit = CODE_LIFE_S if fact.event == _CODE else school.message_stale_s
        if limit is not None and now - fact.happened_at > limit:
            stale.append(fact)
    if stale:
        store.done(conn, [(fact.id, fact.detail | {"outcome": "stale"}) for fact in stale], now)
        written = store.messages_of(conn, [fact.id for fact in stale])
        _give_up(conn, [row.id for row in written if row.state == "waiting"], now)
    numbers = {fact.id for fact in stale}
    return [fact for fact in facts if fact.id not in numbers]


def _give_up(conn: Connection, numbers: Sequence[int], now: int) -> None:
    """These messages will not be sent; their texts go."""
    store.mark(conn, [(number, "failed", None, now) for number in numbers])
    store.wipe(conn, numbers)


def _write_messages(
    conn: Connection, vault: Vault, channel: str, school: people.School, facts: list[Row], now: int
) -> list[Row]:
    """Write what is not written yet; returns the facts that have somebody to be told."""
    written = {row.outbox_id for row in store.messages_of(conn, [fact.id for fact in facts])}
    new = [fact for fact in facts if fact.id not in written and fact.event != _CODE]
    accounts = {fact.account_id for fact in new}
    adults = people.adults_of_accounts(conn, school.school_id, accounts)
    texts = _Texts(conn, school, accounts)
    nobody = {fact.id: fact.detail | {"outcome": "nobody"} for fact in new if not adults[fact.account_id]}
    store.done(conn, list(nobody.items()), now)
    rows = []
    for fact in new:
        for adult in adults[fact.account_id]:
            rows.append(
                {
                    "school_id": school.school_id,
                    "outbox_id": fact.id,
                    "adult_id": adult.adult_id,
                    "channel": channel,
                    "language": adult.language,
                    "body": sealed(vault, texts.of(fact, adult.language), fact.id, adult.adult_id),
                    "happened_at": fact.happened_at,
                    "created_at": now,
                }
            )
    store.add_messages(conn, rows)
    return [fact for fact in facts if fact.id not in nobody]


class _Texts:
    """The words about facts of one school; names of goods are read once for each language."""

    def __init__(self, conn: Connection, school: people.School, accounts: set[int]) -> None:
        self._conn = conn
        self._school = school
        self._names = people.short_names(conn, school.school_id, accounts)
        self._goods: dict[str, meals.Naming] = {}

    def of(self, fact: Row, language: str) -> str:
        if language not in self._goods:
            self._goods[language] = meals.naming(self._conn, self._school.school_id, language)
        return render.event(
            fact.event,
            language,
            name=self._names[fact.account_id],
            happened_at=fact.happened_at,
            time_zone=self._school.time_zone,
            good=self._goods[language](fact.detail.get("goods", ())),
            amount_minor=fact.detail.get("amount_minor", 0),
            currency=self._school.currency,
        )


def _jobs(conn: Connection, vault: Vault, school: people.School, facts: list[Row]) -> list[Job]:
    """The messages of these facts that wait, opened for sending."""
    by_number = {fact.id: fact for fact in facts}
    waiting = [row for row in store.messages_of(conn, by_number) if row.state == "waiting"]
    phones = people.phones(conn, school.school_id, {row.adult_id for row in waiting})
    jobs = []
    for row in waiting:
        fact = by_number[row.outbox_id]
        message = Message(
            id=_message_id(vault, fact, row),
            about=fact.event,
            to=phones[row.adult_id],
            language=row.language,
            text=opened(vault, row.body, row.outbox_id, row.adult_id),
            happened_at=row.happened_at,
            created_at=row.created_at,
            time_zone=school.time_zone,
        )
        jobs.append(Job(row.id, fact.id, message))
    return jobs


def _message_id(vault: Vault, fact: Row, row: Row) -> str:
    """Its id for the channel: the same for the same fact and adult, in a restored database too."""
    parts: list[Any] = [fact.school_id, fact.event, fact.device_id, fact.epoch, fact.seq, fact.happened_at]
    if fact.event == _CODE:
        parts.append(fact.id)  # a code has no record of a device
    text = "/".join(str(part) for part in [*parts, row.adult_id, row.channel])
    return vault.mac("message id", text.encode())[:10].hex()


def _settle(conn: Connection, claim: Claim, outcomes: dict[int, Delivery | None], now: int) -> None:
    """`outcomes`: the channel's answer by message, None for "not now"; what was not tried is not in it."""
    by_fact: defaultdict[int, list[int]] = defaultdict(list)
    for job in claim.jobs:
        by_fact[job.outbox_id].append(job.number)
    marks: list[tuple[int, str, str | None, int]] = []
    done: list[tuple[int, dict[str, Any]]] = []
    later: list[tuple[int, int, int]] = []
    lost: list[int] = []
    codes: list[int] = []
    for fact in claim.facts:
        numbers = by_fact[fact.id]
        delivered = [(number, answer) for number in numbers if (answer := outcomes.get(number)) is not None]
        marks += [(number, _state(delivery), delivery.provider_id, now) for number, delivery in delivered]
        if fact.event == _CODE:
            codes += [number for number, _ in delivered]
        tries = fact.attempts + any(number in outcomes and outcomes[number] is None for number in numbers)
        if len(delivered) == len(numbers):
            refused = any(delivery.state == FAILED for _, delivery in delivered)
            done.append((fact.id, fact.detail | {"outcome": "refused" if refused else "sent"}))
        elif tries >= TRIES_MAX:
            done.append((fact.id, fact.detail | {"outcome": "channel down"}))
            lost += [number for number in numbers if not outcomes.get(number)]
        else:
            # Only a channel that was down is waited for; a worker that was too slow costs no try.
            pause = _BACK_OFF_S[min(tries, len(_BACK_OFF_S)) - 1] if tries > fact.attempts else 0
            later.append((fact.id, now + pause, tries))
    store.mark(conn, marks)
    store.wipe(conn, codes)
    _give_up(conn, lost, now)
    store.done(conn, done, now)
    store.wait_until(conn, later)


def _state(delivery: Delivery) -> str:
    return "sent" if delivery.state == SENT else "failed"
