"""The cards of a school as rules see them: who may be given which number, and which numbers mean which card.

Promises: one credential opens one account; what a card only shows is never
believed where the card was issued as protected: its bare serial number belongs to
it and to nobody else; a card of which only a part of the number is known means a card
while no other has the same part; a change is decided as a whole before anything is written.
Pure but for read() and write().
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.cards import store
from cloud.formats import SchoolTime
from cloud.people import service as people
from protocols.card import credential
from protocols.errors import CARD_KIND, CARD_PROTECTED, CARD_TAKEN, FIELD_RANGE, Fault

ACTIVE, BLOCKED = "active", "blocked"
TEMPORARY = "temporary"
KINDS = ("card", TEMPORARY, "second", "fob", "city")


class CardRefused(Exception):
    """A card is not given; `code` is a number of protocols.errors.  The text carries no id."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class CardTaken(CardRefused):
    """The credential already opens another account; block or move that card first."""

    def __init__(self) -> None:
        super().__init__(CARD_TAKEN, "the card opens another account")


class Form(NamedTuple):
    """What a further number of a card is: `is_copy`: of a card that must prove itself; `is_lossy`: of a
    reader that leaves a part out."""

    is_copy: bool
    is_lossy: bool


class Numbers(NamedTuple):
    """The references of a card: its own, of its bare serial number where it proves itself, and others.

    A card of which only a part of the number is known has its own among the others too.
    """

    card_ref: bytes
    bare_ref: bytes | None
    others: dict[bytes, Form]

    @property
    def is_protected(self) -> bool:
        """Whether the card proves itself."""
        return self.bare_ref is not None

    @property
    def is_part(self) -> bool:
        """Whether only a part of the number is known."""
        return self.card_ref in self.others


class Wish(NamedTuple):
    """A card for an account.

    `kind`: one of KINDS, or None to leave it as it is; `until_day`: the last day of a
    temporary card, days from 1970-01-01; `key_version`: of the keys that the desk wrote, 0 for others.
    """

    numbers: Numbers
    account_id: int
    kind: str | None = None
    until_day: int | None = None
    key_version: int = 0


def numbers_of(key: bytes, text: str, uid: str = "", *, takes_parts: bool = False) -> Numbers:
    """The references of a credential in any spelling; `uid`: the serial number of a card that proves itself.

    `takes_parts`: also of a card of which only the last 24 or 32 bits are known.
    Fault(BAD_CREDENTIAL) for what is none, Fault(CARD_KIND) for what must not name a
    pupil, Fault(FIELD_RANGE) for a protected card without its serial number.
    """
    shown = credential.canonical(text)
    names = credential.parts(shown) if takes_parts and credential.is_weak(shown) else ()
    if names:
        said = (names[0], shown, *credential.aliases(shown))
        others = {credential.card_ref(key, each): Form(False, True) for each in said}
        return Numbers(credential.card_ref(key, names[0]), None, others)
    credential.check_enrolment(shown)
    own = credential.card_ref(key, shown)
    if not credential.is_proof(shown):
        if uid and credential.canonical(uid) != shown:
            raise Fault(FIELD_RANGE, "card.uid", "another number than the card's")
        lossy = {credential.card_ref(key, each): Form(False, True) for each in credential.aliases(shown)}
        return Numbers(own, None, lossy)
    bare = credential.canonical(uid) if uid else ""
    if credential.scheme_of(bare) != "a":
        raise Fault(FIELD_RANGE, "card.uid", "a protected card needs its serial number")
    if credential.is_random(bare):
        raise Fault(CARD_KIND, "random number")
    bare_ref = credential.card_ref(key, bare)
    others = {credential.card_ref(key, each): Form(True, True) for each in credential.aliases(bare)}
    return Numbers(own, bare_ref, {**others, bare_ref: Form(True, False)})


class Book:
    """Cards and their further numbers; `cards`: card_ref to the columns of its row."""

    def __init__(self, school_id: int, cards: Iterable[Any], aliases: Iterable[Any]) -> None:
        self._school_id = school_id
        self.cards: dict[bytes, dict[str, Any]] = {bytes(row.card_ref): row._asdict() for row in cards}
        self.meant: defaultdict[bytes, dict[bytes, Form]] = defaultdict(dict)
        """A further number to the cards that have it."""
        self._others: defaultdict[bytes, dict[bytes, Form]] = defaultdict(dict)
        self._parts: set[bytes] = set()
        for row in aliases:
            self._mean(bytes(row.alias_ref), bytes(row.card_ref), Form(bool(row.is_copy), bool(row.is_lossy)))
        self._fresh: set[bytes] = set()
        self._changed: set[bytes] = set()
        self._renumbered: set[bytes] = set()

    def _mean(self, alias_ref: bytes, card_ref: bytes, form: Form) -> None:
        self.meant[alias_ref][card_ref] = form
        self._others[card_ref][alias_ref] = form
        if alias_ref == card_ref:
            self._parts.add(card_ref)

    def give(self, wish: Wish, *, today: int, now: int, moves: bool = False, reopens: bool = False) -> bool:
        """Give a card; whether that changed anything.  CardRefused, or a Fault, changes nothing.

        `moves`: a card that another pupil has goes to this one; `reopens`: a card
        that was blocked opens again, because somebody has it in his hand.
        """
        _check_days(wish)
        wish = wish._replace(numbers=self._best_known(wish))
        card_ref, bare_ref = wish.numbers.card_ref, wish.numbers.bare_ref
        known = self.cards.get(card_ref)
        if self._is_bare_number(card_ref):
            raise CardRefused(CARD_PROTECTED, "the bare number of a card that proves itself")
        if known is not None and not moves:
            self._check_free(known, wish.account_id, today)
        ended, less_known = self._ended_by(wish, today) if bare_ref else [], self._less_known(wish)
        # Whoever closed a card closed it by whatever of its number was known then.
        is_shut = any(self.cards[each]["status"] == BLOCKED for each in less_known)
        for each in (*ended, *less_known):
            self._set(each, {**self.cards[each], "status": BLOCKED})
        for each in (*(self._holders(bare_ref) - {card_ref}), *less_known):
            self._renumber(each, {})
        values = self._values(wish, known, today, now, reopens)
        if is_shut and known is None and not reopens:
            values["status"] = BLOCKED
        changed = known != values
        if changed:
            self._set(card_ref, values, is_fresh=known is None)
        if self._others[card_ref] != wish.numbers.others:
            self._renumber(card_ref, wish.numbers.others)
            changed = True
        return changed or bool(ended or less_known)

    def _best_known(self, wish: Wish) -> Numbers:
        """The numbers of the account's card of which those of the wish are a part, else the wish's own."""
        own, said = wish.numbers.card_ref, set(wish.numbers.others)
        for each in self._of_account(said - {own}, wish) if wish.numbers.is_part else ():
            more = self._others[each]
            if said - {own} <= set(more) - {each}:
                if any(more[ref].is_copy for ref in said - {own}):
                    raise CardRefused(
                        CARD_PROTECTED, "a part of the bare number of a card that proves itself"
                    )
                return Numbers(each, None, dict(more))
        return wish.numbers

    def _less_known(self, wish: Wish) -> list[bytes]:
        """Cards of the account of which only a part of the wish's number was known: the same plastic."""
        said = set(wish.numbers.others) - {wish.numbers.card_ref}
        parts = [each for each in self._of_account(said, wish) if self.is_part(each)]
        return [each for each in parts if set(self._others[each]) - {each} <= said]

    def _of_account(self, refs: set[bytes], wish: Wish) -> list[bytes]:
        """The account's other cards that have one of these numbers."""
        having = {each for ref in refs for each in self.meant.get(ref, {})} - {wish.numbers.card_ref}
        return sorted(each for each in having if self.cards[each]["account_id"] == wish.account_id)

    def _is_bare_number(self, ref: bytes) -> bool:
        return any(form.is_copy and not form.is_lossy for form in self.meant.get(ref, {}).values())

    def _holders(self, bare_ref: bytes | None) -> set[bytes]:
        """The protected cards with this serial number."""
        return set() if bare_ref is None else set(self.meant.get(bare_ref, {}))

    def _check_free(self, known: dict[str, Any], account_id: int, today: int) -> None:
        if known["account_id"] != account_id and not is_over(known["until_day"], today):
            raise CardTaken

    def _ended_by(self, wish: Wish, today: int) -> list[bytes]:
        """Active cards that this very piece of plastic was before: it says their numbers no more."""
        bare_ref = wish.numbers.bare_ref
        before = {bare_ref, *self._holders(bare_ref)} - {None, wish.numbers.card_ref}
        found = [each for each in before if each in self.cards and self.cards[each]["status"] == ACTIVE]
        for each in found:
            self._check_free(self.cards[each], wish.account_id, today)
        return sorted(found)

    def _values(
        self, wish: Wish, known: dict[str, Any] | None, today: int, now: int, reopens: bool
    ) -> dict[str, Any]:
        is_protected = wish.numbers.is_protected
        status, issued_at, kind, until_day = ACTIVE, now, wish.kind or KINDS[0], wish.until_day
        if known is not None:
            is_anew = known["account_id"] != wish.account_id and is_over(known["until_day"], today)
            if not is_anew:
                issued_at = known["issued_at"]
                status = ACTIVE if reopens else known["status"]
            if wish.kind is None:
                kind, until_day = known["kind"], known["until_day"]
        return {
            "school_id": self._school_id, "card_ref": wish.numbers.card_ref, "account_id": wish.account_id,
            "kind": kind, "status": status, "issued_at": issued_at, "protected": int(is_protected),
            "weak": int(not is_protected), "key_version": wish.key_version, "until_day": until_day,
        }  # fmt: skip

    def _set(self, card_ref: bytes, values: dict[str, Any], *, is_fresh: bool = False) -> None:
        self.cards[card_ref] = values
        if is_fresh:
            self._fresh.add(card_ref)
        elif card_ref not in self._fresh:
            self._changed.add(card_ref)

    def _renumber(self, card_ref: bytes, others: dict[bytes, Form]) -> None:
        for alias_ref in self._others.pop(card_ref, {}):
            del self.meant[alias_ref][card_ref]
        self._parts.discard(card_ref)
        for alias_ref, form in others.items():
            self._mean(alias_ref, card_ref, form)
        self._renumbered.add(card_ref)

    def is_part(self, card_ref: bytes) -> bool:
        """Whether only a part of a card's number is known."""
        return card_ref in self._parts

    def sharing(self, card_ref: bytes) -> set[bytes]:
        """The other cards of which a reader that leaves a part out would say the same."""
        lossy = [ref for ref, form in self._others.get(card_ref, {}).items() if form.is_lossy]
        return {each for ref in lossy for each in self._having(ref)} - {card_ref}

    def shared(self) -> list[frozenset[bytes]]:
        """The cards that some reader cannot tell from each other, each with all that look like it."""
        groups: list[frozenset[bytes]] = []
        for card_ref in sorted(self.cards):
            others = self.sharing(card_ref)
            if others:
                alike = frozenset({card_ref, *others}.union(*(each for each in groups if each & others)))
                groups = [each for each in groups if not each & alike] + [alike]
        return groups

    def _having(self, ref: bytes) -> set[bytes]:
        return {*self.meant.get(ref, {}), *((ref,) if ref in self.cards else ())}

    def is_known_at_all(self, card_ref: bytes) -> bool:
        """Whether some reader may take a card: one that is known in part only while nothing looks like it."""
        return card_ref not in self._parts or not self.sharing(card_ref)

    def _is_clear(self, card_ref: bytes) -> bool:
        """Whether a number with a part left out may mean this card.

        Not where a card of which only a part is known looks like it: nobody knows the rest of that one.
        """
        if card_ref in self._parts:
            return not self.sharing(card_ref)
        return not self._parts or not any(each in self._parts for each in self.sharing(card_ref))

    def names_one(self, alias_ref: bytes) -> bool:
        """Whether a number that a part is left out of means one card and no more."""
        having = self._having(alias_ref)
        return len(having) == 1 and all(map(self._is_clear, having))

    def is_anybodys(self, ref: bytes) -> bool:
        """Whether a part is left out of a number, and it means more than one card."""
        is_lossy = any(form.is_lossy for form in self.meant.get(ref, {}).values())
        return is_lossy and not self.names_one(ref)

    def write(self, conn: Connection) -> None:
        """Write down what changed."""
        store.add(conn, [self.cards[each] for each in sorted(self._fresh)])
        store.change(conn, self._school_id, [self.cards[each] for each in sorted(self._changed)])
        store.remove_aliases(conn, self._school_id, sorted(self._renumbered - self._fresh))
        store.add_aliases(conn, [
            (self._school_id, alias_ref, card_ref, int(form.is_copy), int(form.is_lossy))
            for card_ref in sorted(self._renumbered)
            for alias_ref, form in sorted(self._others[card_ref].items())
        ])  # fmt: skip
        self._fresh, self._changed, self._renumbered = set(), set(), set()


def read(conn: Connection, school_id: int) -> Book:
    """All cards of a school."""
    return Book(school_id, store.all_of(conn, school_id), store.aliases(conn, school_id))


def read_for(conn: Connection, school_id: int, numbers: Numbers) -> Book:
    """The cards that have to do with these numbers, and no others."""
    named = {numbers.card_ref, *numbers.others, *([numbers.bare_ref] if numbers.bare_ref else [])}
    aliases = store.aliases(conn, school_id, sorted(named))
    refs = named | {bytes(row.card_ref) for row in aliases}
    found = [row for row in (store.get(conn, school_id, ref) for ref in sorted(refs)) if row is not None]
    own = store.aliases_of(conn, school_id, [bytes(row.card_ref) for row in found])
    return Book(school_id, found, [*aliases, *own])


def day_of(conn: Connection, school_id: int, now: int) -> int:
    """The school's day, from 1970-01-01."""
    return SchoolTime(people.school(conn, school_id).time_zone, "ru").day(now)


def closed_card(school_id: int, card_ref: bytes, account_id: int, now: int) -> dict[str, Any]:
    """The row of a card of which nothing is known but that it is this account's, and closed."""
    return {
        "school_id": school_id, "card_ref": card_ref, "account_id": account_id, "kind": KINDS[0],
        "status": BLOCKED, "issued_at": now, "protected": 0, "weak": 1, "key_version": 0, "until_day": None,
    }  # fmt: skip


def is_over(until_day: int | None, today: int) -> bool:
    """Whether the last day of a card has passed."""
    return until_day is not None and until_day < today


def _check_days(wish: Wish) -> None:
    if wish.kind is not None and wish.kind not in KINDS:
        raise Fault(FIELD_RANGE, "card.kind", "one of " + ", ".join(KINDS))
    if (wish.kind == TEMPORARY) != (wish.until_day is not None):
        raise Fault(FIELD_RANGE, "card.until", "a temporary card has a last day, and no other")
    if wish.until_day is not None and not 0 <= wish.until_day <= 0xFFFF:
        raise Fault(FIELD_RANGE, "card.until", "no such day")
