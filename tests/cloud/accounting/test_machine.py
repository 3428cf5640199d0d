"""The books as a state machine: chain, balances and rights against dicts, and edits behind their back."""

import hashlib
from collections import Counter, defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import Engine, text

from cloud import db
from cloud.accounting import service
from cloud.accounting.movements import SIGN
from cloud.accounting.service import BANK, CATERER, Entry, Movement, purse
from tests.cloud.accounting.test_check import drop_triggers
from tests.cloud.schools import add_device, add_school
from tests.properties import machines

CODES = (BANK, CATERER, purse(1), purse(2))
COLUMNS = ("granted", "returned", "spent", "voided")
batches = st.lists(
    st.tuples(st.integers(1, 15), st.sampled_from(CODES), st.sampled_from(CODES), st.integers(1, 9)),
    max_size=5,
)
moves = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 2), st.sampled_from((0, 1, 160_001)), st.integers(1, 4),
              st.integers(1, 9)),
    max_size=4,
)  # fmt: skip
# Statement, what the check must say first; {entry} is any entry that is there.
EDITS = (
    ("UPDATE entry SET reason = reason || 'x' WHERE entry_id = {entry}", "chain"),
    ("UPDATE entry SET posted_at = posted_at + 1 WHERE entry_id = {entry}", "chain"),
    ("UPDATE entry SET external_key = 'edited' WHERE entry_id = {entry}", "chain"),
    ("UPDATE posting SET amount_minor = amount_minor * 3 WHERE entry_id = {entry}", "chain"),
    ("UPDATE posting SET line = line + 2 WHERE entry_id = {entry} AND line = 1", "chain"),
)


def packed(number: int, size: int = 8) -> bytes:
    return number.to_bytes(size, "little", signed=True)


class Books(RuleBasedStateMachine):
    """Entries and movements go into the model and into the database; each step is checked as a whole."""

    engine: Engine

    @initialize()
    def open_books(self) -> None:
        self.school = add_school(self.engine)
        with db.begin(self.engine) as conn:
            self.holders = [add_device(conn, self.school, f"line-{number}", "canteen") for number in (1, 2)]
        self.entries: dict[str, tuple[tuple[str, int], ...]] = {}
        self.hashes = [hashlib.sha256(b"klasskart/1/books" + packed(self.school)).digest()]
        self.rights: defaultdict[tuple, Counter] = defaultdict(Counter)
        self.moved = 0

    @rule(batch=batches)
    def post(self, batch: list[tuple[int, str, str, int]]) -> None:
        made = [
            Entry(f"k{key}", "sale", 5, ((one, -amount), (other, amount)))
            for key, one, other, amount in batch
        ]
        with db.begin(self.engine) as conn:
            service.post(conn, self.school, made, 9)
        self.note(made)

    def note(self, made: list[Entry]) -> None:
        """The model has what it did not have yet."""
        for each in made:
            if each.external_key not in self.entries:
                self.entries[each.external_key] = tuple(each.postings)
                self.hashes.append(self.follow(each))

    @precondition(lambda self: self.entries)
    @rule(choice=st.integers(0))
    def take_back(self, choice: int) -> None:
        """A correction is an entry of its own; the same one again changes nothing."""
        keys = [key for key in self.entries if not key.startswith("back:")]
        key = keys[choice % len(keys)]
        with db.begin(self.engine) as conn:
            undone = service.undoing(conn, self.school, key)
            assert Counter(undone) == Counter((code, -amount) for code, amount in self.entries[key])
            back = Entry(f"back:{key}", "reversal", 5, undone, reason="a mistake", corrects=key)
            service.post(conn, self.school, [back, back], 9)
        self.note([back])

    def follow(self, entry: Entry) -> bytes:
        """The hash by the words of docs/ledger.md, not by the product's code."""
        data = b"".join(packed(number) for number in (len(self.hashes), 5, 9, -1, -1, -1))
        words = [word.encode() for word in (entry.external_key, entry.kind, entry.reason, entry.corrects)]
        data += b"".join(packed(number, 4) for number in (*map(len, words), len(entry.postings)))
        data += b"".join(words)
        for code, amount in entry.postings:
            data += packed(amount) + packed(len(code), 4) + code.encode()
        return hashlib.sha256(self.hashes[-1] + data).digest()

    @rule(changes=moves)
    def move(self, changes: list[tuple[int, int, int, int, int]]) -> None:
        made = [
            Movement(*self.holders[holder], account, bucket, counter, amount, service.BY_TABLE, 1)
            for holder, account, bucket, counter, amount in changes
        ]
        with db.begin(self.engine) as conn:
            service.move(conn, self.school, made, 9)
            for each in made:
                column = COLUMNS[each.counter - 1]
                conn.execute(
                    text(
                        f"INSERT INTO spending_right (school_id, device_id, epoch, account_id, bucket,"
                        f" {column}) VALUES ({self.school}, {each.device_id}, 1, {each.account_id},"
                        f" {each.bucket},"
                        f" {each.amount}) ON CONFLICT"
                        " (school_id, device_id, epoch, account_id, bucket)"
                        f" DO UPDATE SET {column} = spending_right.{column} + {each.amount}"
                    )
                )
                self.rights[each.device_id, min(each.bucket, 2)][each.counter] += each.amount
        self.moved += len(made)

    @precondition(lambda self: self.entries)
    @rule(edit=st.sampled_from(EDITS), choice=st.integers(0))
    def somebody_edits(self, edit: tuple[str, str], choice: int) -> None:
        """By hand, with the triggers dropped: found and named; nothing of it is kept."""
        entry = 1 + choice % len(self.entries)
        with self.engine.connect() as conn, conn.begin() as transaction:
            drop_triggers(conn)
            statement = edit[0].format(entry=entry) + f" AND school_id = {self.school}"
            conn.execute(text(statement))
            first = service.check(conn, self.school).differences[0]
            assert (first.what, first.entry_id) == (edit[1], entry)
            transaction.rollback()

    @precondition(lambda self: self.entries)
    @rule()
    def last_entry_is_taken_away(self) -> None:
        with self.engine.connect() as conn, conn.begin() as transaction:
            drop_triggers(conn)
            for table in ("posting", "entry"):
                conn.execute(
                    text(f"DELETE FROM {table} WHERE school_id = :school AND entry_id = :entry"),
                    {"school": self.school, "entry": len(self.entries)},
                )
            assert service.check(conn, self.school).differences[0].what == "head"
            transaction.rollback()

    @invariant()
    def books_agree(self) -> None:
        with db.snapshot(self.engine) as conn:
            found = service.check(conn, self.school)
            wrong = [each for each in found.differences if each.what != "free"]
            assert wrong == []
            assert found.head == (len(self.entries), self.hashes[-1])
            assert (found.postings, found.movements) == (2 * len(self.entries), self.moved)
            sums: Counter[str] = Counter()
            for postings in self.entries.values():
                for code, amount in postings:
                    sums[code] += amount
            assert service.balances(conn, self.school, CODES) == {code: sums[code] for code in CODES}
            pending = {code: amount for code, amount in service.pending(conn, self.school).items() if amount}
            out = {
                service.escrow(device, 1, source): sum(
                    SIGN[counter] * amount for counter, amount in counts.items()
                )
                for (device, source), counts in self.rights.items()
            }
            assert pending == {code: amount for code, amount in out.items() if amount}


def books_of(engine: Engine) -> type[Books]:
    return type("BooksHere", (Books,), {"engine": engine})


def test_books_follow_the_model(store: Engine) -> None:
    machines.run(books_of(store), 25, 8)


def test_books_follow_the_model_afresh(store_sqlite: Engine) -> None:
    machines.run_fresh(books_of(store_sqlite), 10, 8)
