"""What the desk does with a card that lies there: look, give, renew, wipe, and go on where it was cut off.

Promises: an operation is written down, with the credential that the card will have, before the first byte is
written to the card, and is told to the cloud only when the card is finished; a card that was pulled away, and
a desk that was killed, go on with the same operation and the same op_id.  A refusal of the desk is Refused
with a reason of the list below; faults of the card and the reader come through.  Leaves the reader to
bench.py, the cloud to sender.py and words to the templates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from protocols.card import application, credential, tag
from protocols.card.application import GATE
from protocols.errors import CARD_ANSWER, Fault
from reader_host.desk import owners, store
from reader_host.desk.keys import DeskKeys
from reader_host.desk.owners import Owned, Owners
from reader_host.desk.roster import EMPTY, Roster
from reader_host.desk.store import BLOCK, GIVING, MAIN, RENEW, WIPE, Operation, Secret, Store
from reader_host.local import words
from reader_host.pcsc import kinds
from reader_host.pcsc.station import Card

KINDS = (MAIN, "second", "fob", "temporary")
WIPED = "wiped"
"""A new card of which this desk knows that it was wiped here."""

# Why the desk does not do it.
RANDOM, FOREIGN, TAKEN, HAS_IT, PLAIN, NO_KEYS = "random", "foreign", "taken", "has_it", "plain", "no_keys"
OTHER_CARD, UNFINISHED, NOTHING = "other_card", "unfinished", "nothing"
CLOSED, COPY, PERHAPS = "closed", "copy", "perhaps"
"""CLOSED: another card is open in its place; COPY: it shows the number of a card that proves itself; PERHAPS:
by a part of its number it is another pupil's."""
NEWER, NOT_OLD, NOBODYS = "newer", "not_old", "nobodys"
"""NEWER: it has keys that this desk has not; NOT_OLD, NOBODYS: nothing to renew, or nobody for whom."""

_OP_ID = 8


class Refused(Exception):
    """The desk does not do it; `reason` is one of the list above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Wish(NamedTuple):
    """What a person wants done with the next card, or with the card of `uid_ref` alone.

    `plain_allowed`: the person has read that a plain card can be copied; `part_allowed`: that it may be
    another pupil's; `place`: whose turn in the queue of a class it is, or None.
    """

    op: str
    student: str = ""
    kind: str = MAIN
    until: str = ""
    plain_allowed: bool = False
    part_allowed: bool = False
    uid_ref: str = ""
    place: int | None = None


class Look(NamedTuple):
    """A card and what the desk knows of it.

    `state`: as of kinds.Seen, or WIPED; `owner`: whose it is, if somebody's; `unfinished`: the operation that
    waits for this very card.
    """

    seen: kinds.Seen
    uid_ref: str
    state: str
    owner: Owned | None
    unfinished: Operation | None


class Work:
    """The rules over one store and the keys of one school; time and randomness come in."""

    def __init__(
        self,
        keys: DeskKeys,
        kept: Store,
        *,
        now: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        roster: Callable[[], Roster] = lambda: EMPTY,
    ) -> None:
        self._keys = keys
        self._store = kept
        self._now = now
        self._random_bytes = random_bytes
        self.owners = Owners(keys, kept, roster, lambda: words.local_day(now()).isoformat())

    def look(self, card: Card) -> Look:
        """Ask the card what it is, and our lists whose."""
        seen = kinds.look(card, self._keys.masters, self._random_bytes)
        uid_ref = self._keys.reference(seen.shown)
        done = self._store.of_card(uid_ref)
        unfinished = next((each for each in reversed(done) if each.state == store.BEGUN), None)
        state = seen.state
        if state == kinds.NEW and any(each.op == WIPE for each in done[-1:]):
            state = WIPED
        return Look(seen, uid_ref, state, self.owners.of(seen), unfinished)

    def held(self, student: str) -> list[Owned]:
        """A pupil's open cards, the oldest first."""
        return [each for each in self.owners.of_student(student) if each.state == owners.OPEN]

    # Written down first.

    def begin(self, wish: Wish, look: Look) -> Operation:
        """Write down what will be done with the card that was looked at; Refused when it will not be."""
        if wish.uid_ref and wish.uid_ref != look.uid_ref:
            raise Refused(OTHER_CARD)
        if look.seen.state == kinds.RANDOM:
            raise Refused(RANDOM)
        if look.seen.state == kinds.FOREIGN:
            # The number of a card of ours, and keys that are not known here.
            raise Refused(FOREIGN if look.owner is None else NEWER)
        if look.seen.keys == kinds.NEWER:
            raise Refused(NEWER)
        if wish.op == RENEW:
            return self._begin_renewal(wish, look)
        return self._begin_wipe(wish, look) if wish.op == WIPE else self._begin_giving(wish, look)

    def _begin_renewal(self, wish: Wish, look: Look) -> Operation:
        owner = look.owner
        if look.unfinished is not None:
            raise Refused(UNFINISHED)
        if look.seen.keys != kinds.OLD:
            raise Refused(NOT_OLD)
        if owner is None or owner.how != owners.EXACT:
            raise Refused(NOBODYS)
        wish = wish._replace(student=owner.student, kind=owner.kind)
        return self._add(wish, look, look.seen.credential, b"")

    def _begin_giving(self, wish: Wish, look: Look) -> Operation:
        seen = look.seen
        if look.unfinished is not None:
            raise Refused(UNFINISHED)
        if look.owner is not None:
            self._check_owner(wish, look.owner, seen)
        if seen.kind == kinds.PLAIN and not wish.plain_allowed:
            raise Refused(PLAIN)
        if self._is_perhaps_anothers(wish, look.owner) and not wish.part_allowed:
            raise Refused(PERHAPS)
        if seen.kind == kinds.NTAG and not self._keys.can_issue_tags:
            raise Refused(NO_KEYS)
        identity = b""
        if seen.state in (kinds.ISSUED, kinds.PLAIN):
            made = seen.credential
        elif seen.kind == kinds.NTAG:
            made = tag.credential_of(bytes.fromhex(seen.shown.partition(":")[2]))
        else:
            identity = self._random_bytes(application.IDENTITY)
            made = application.credential_of(identity)
        credential.check_enrolment(made)
        return self._add(wish, look, made, identity)

    def _check_owner(self, wish: Wish, owner: Owned, seen: kinds.Seen) -> None:
        """Refused where the card is somebody's, by the rules that the cloud will judge by."""
        is_own = owner.student == wish.student
        if owner.how == owners.PART or owner.state == owners.OVER:
            return
        if owner.how == owners.BARE:
            if seen.kind == kinds.PLAIN:
                raise Refused(COPY)
            # The keys that it had are gone, and so is the card that it was; whose it is stands until wiped.
            if not is_own and owner.state != owners.BLOCKED:
                raise Refused(TAKEN)
            return
        if not is_own:
            raise Refused(TAKEN)
        if owner.state == owners.BLOCKED:
            if any(each.kind == MAIN for each in self.held(owner.student)):
                raise Refused(CLOSED)
        elif seen.state in (kinds.ISSUED, kinds.PLAIN):
            # Else a number that the office knows gets keys of its own.
            raise Refused(HAS_IT)

    def _is_perhaps_anothers(self, wish: Wish, owner: Owned | None) -> bool:
        return (
            owner is not None
            and owner.how == owners.PART
            and owner.state == owners.OPEN
            and owner.student != wish.student
        )

    def _begin_wipe(self, wish: Wish, look: Look) -> Operation:
        if look.unfinished is not None and look.unfinished.op == WIPE:
            return look.unfinished
        owner = look.owner if look.owner is not None and look.owner.how == owners.EXACT else None
        if look.seen.kind == kinds.PLAIN and owner is None and look.unfinished is None:
            raise Refused(NOTHING)
        made = ""
        if look.unfinished is not None:
            self._store.set_state(look.unfinished.op_id, store.DROPPED)
        is_ours = owner is not None or look.unfinished is None or look.unfinished.op == RENEW
        if look.seen.state in (kinds.ISSUED, kinds.PLAIN) and is_ours:
            # Else the cloud never heard of that card, so it need not hear of its end.
            made = look.seen.credential
        student = owner.student if owner else ""
        return self._add(wish._replace(student=student), look, made, b"")

    def _add(self, wish: Wish, look: Look, made: str, identity: bytes) -> Operation:
        values = {
            "op_id": self._random_bytes(_OP_ID).hex(),
            "op": wish.op,
            "student": wish.student,
            "kind": wish.kind,
            "until": wish.until,
            "at": self._now(),
            "card_ref": self._keys.reference(made) if made else "",
            "uid_ref": look.uid_ref,
            "state": store.BEGUN,
            "key_version": self._key_version(made),
        }
        secret = Secret(made, look.seen.shown, identity.hex())
        return self._store.add(values, secret, wish.place if wish.op in GIVING else None)

    def _key_version(self, made: str) -> int:
        return self._keys.masters.newest(GATE)[0] if credential.is_proof(made) else 0

    # Then done.

    def finish(self, card: Card, operation: Operation) -> Operation:
        """Do it, or the rest of it, and give it to the cloud's queue; Refused for another card."""
        seen = kinds.look(card, self._keys.masters, self._random_bytes)
        if self._keys.reference(seen.shown) != operation.uid_ref:
            raise Refused(OTHER_CARD)
        secret = self._store.secret(operation.op_id)
        if operation.op == WIPE:
            self._wipe(card, seen)
        elif operation.op == RENEW and seen.credential != secret.credential:
            # It was wiped elsewhere meanwhile: there is nothing left to renew.
            self.drop(operation)
            raise Refused(OTHER_CARD)
        else:
            self._write(card, seen, secret)
        state = store.READY if secret.credential else store.DROPPED
        # The newest keys may be others by now than when it was begun.
        self._store.finish(operation.op_id, state, self._key_version(secret.credential))
        return self._store.operation(operation.op_id)

    def _write(self, card: Card, seen: kinds.Seen, secret: Secret) -> None:
        if seen.kind == kinds.PLAIN and seen.credential == secret.credential:
            return
        # A card that is finished keeps its identity; keys of an older version are renewed on it.
        is_ours = seen.credential == secret.credential
        if seen.kind == kinds.DESFIRE and (secret.identity or is_ours):
            identity = bytes.fromhex(secret.identity) or bytes(application.IDENTITY)
            talk = application.issue(card.uid, identity, self._keys.masters, self._random_bytes)
        elif seen.kind == kinds.NTAG:
            talk = tag.issue(card.uid, self._keys.masters, self._random_bytes)
        else:
            raise Refused(OTHER_CARD)
        if card.hold(talk) != secret.credential:
            raise Fault(CARD_ANSWER, "credential")

    def _wipe(self, card: Card, seen: kinds.Seen) -> None:
        if seen.kind == kinds.DESFIRE:
            card.hold(application.wipe(card.uid, self._keys.masters, self._random_bytes))
        elif seen.kind == kinds.NTAG:
            card.hold(tag.wipe(card.uid, self._keys.masters, self._random_bytes))

    # Without the card.

    def block(self, lost: Owned, lost_at: int) -> Operation:
        """Report a card lost, gone since `lost_at` (UTC seconds): the cloud closes it when it has heard."""
        values = {
            "op_id": self._random_bytes(_OP_ID).hex(),
            "op": BLOCK,
            "student": lost.student,
            "kind": lost.kind,
            "until": lost.until,
            "at": self._now(),
            "card_ref": lost.ref,
            "uid_ref": "",
            "state": store.READY,
            "key_version": 0,
            "lost_at": min(lost_at, self._now()),
        }
        return self._store.add(values, Secret("", "", ""))

    def send_again(self, operation: Operation) -> None:
        """Tell the cloud once more what it refused: whatever stood in the way is gone."""
        self._store.send_again(operation.op_id, self._random_bytes(_OP_ID).hex())

    def drop(self, operation: Operation) -> None:
        """Give up a card that was begun and will not come back; its pupil's turn comes again."""
        if operation.state != store.BEGUN:
            return
        self._store.set_state(operation.op_id, store.DROPPED)
        for line in self._store.row():
            if line.op_id == operation.op_id:
                self._store.set_line(line.place, store.WAITING)
