"""Cards that people close, open and wipe: what they did comes back from the raw archive.

Promises: each function adds what it did to `said`, which its caller puts into the archive before the commit;
a card that was closed is closed again in a database of before that (read_again), also one that this database
does not know yet; what is known changes nothing.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from cloud.archive import CardState, Decided
from cloud.cards import book, store
from cloud.cards.book import ACTIVE, BLOCKED
from cloud.people import service as people

STATES = OPEN, SHUT, GONE = "open", "shut", "gone"
Said = list[Decided]


def block(conn: Connection, school_id: int, card_ref: bytes, said: Said, *, who: str, now: int) -> bool:
    """Close a card; False when there is none or it is closed.  Acts at a device with its next table."""
    return _set(conn, school_id, card_ref, said, SHUT, who, now)


def unblock(conn: Connection, school_id: int, card_ref: bytes, said: Said, *, who: str, now: int) -> bool:
    """Open a blocked card again; False when there is none or it is open."""
    return _set(conn, school_id, card_ref, said, OPEN, who, now)


def given(school_id: int, card_ref: bytes, account_id: int, said: Said, *, who: str, now: int) -> None:
    """A card is this account's from now on, and open."""
    said.append(CardState(school_id, account_id, now, STATES.index(OPEN), card_ref, who))


def wipe(conn: Connection, school_id: int, card_ref: bytes, said: Said, *, who: str, now: int) -> bool:
    """The card is nobody's; whether it was somebody's."""
    row = store.get(conn, school_id, card_ref)
    if row is not None:
        said.append(CardState(school_id, row.account_id, now, STATES.index(GONE), card_ref, who))
        store.remove(conn, school_id, card_ref)
    return row is not None


def _set(
    conn: Connection, school_id: int, card_ref: bytes, said: Said, state: str, who: str, now: int
) -> bool:
    row = store.get(conn, school_id, card_ref)
    if row is None:
        return False
    said.append(CardState(school_id, row.account_id, now, STATES.index(state), card_ref, who))
    return store.set_status(conn, school_id, card_ref, BLOCKED if state == SHUT else ACTIVE)


def read_again(conn: Connection, school_id: int, decided: Iterable[Decided]) -> bool:
    """Make of cards what people made of them last, by the archive, in its order; whether that changed any.

    A card that was given to another pupil, which a restore has forgotten, is closed: it is not in the hands
    of the pupil who has it here.
    """
    accounts = {account.account_id for account in people.accounts(conn, school_id)}
    changes, changed = {one.card_ref: one for one in decided if isinstance(one, CardState)}, False
    for card_ref, last in changes.items():
        row = store.get(conn, school_id, card_ref)
        if row is None:
            if STATES[last.state] == SHUT and last.account_id in accounts:
                store.add(conn, [book.closed_card(school_id, card_ref, last.account_id, last.changed_at)])
                changed = True
        elif row.issued_at > last.changed_at:
            continue  # it was given anew since
        elif STATES[last.state] == GONE:
            store.remove(conn, school_id, card_ref)
            changed = True
        else:
            is_open = STATES[last.state] == OPEN and row.account_id == last.account_id
            changed |= store.set_status(conn, school_id, card_ref, ACTIVE if is_open else BLOCKED)
    return changed
