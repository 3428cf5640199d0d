"""post() against a plain dict model, and what it refuses."""

from collections import Counter, defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from cloud import bulk, db
from cloud.accounting import books, service
from cloud.accounting import store as store_module
from cloud.accounting.service import BANK, CATERER, Entry, PostResult, purse
from protocols.errors import EMPTY_ENTRY, KEY_REUSED, OK, UNBALANCED
from tests.cloud.schools import add_school
from tests.properties import machines

CODES = (BANK, CATERER, purse(1), purse(2), purse(3))

amounts = st.integers(-3, 3)
lines = st.lists(st.tuples(st.sampled_from(CODES), amounts), max_size=3).map(tuple)
balanced = st.tuples(st.sampled_from(CODES), st.sampled_from(CODES), st.integers(1, 5)).map(
    lambda drawn: ((drawn[0], -drawn[2]), (drawn[1], drawn[2]))
)
keys = st.integers(1, 12).map(lambda number: f"key {number}")
entries = st.builds(
    Entry,
    external_key=keys,
    kind=st.sampled_from(("topup", "sale")),
    happened_at=st.integers(1, 3),
    postings=balanced | lines,
    device_id=st.none() | st.integers(1, 2),
    epoch=st.just(1),
    seq=st.integers(1, 2),
    reason=st.sampled_from(("", "why")),
    corrects=st.sampled_from(("", "key 1")),
)


class Model:
    """What the books must be: dicts and lists, nothing else."""

    def __init__(self) -> None:
        self.books: dict[str, tuple[int, Entry]] = {}
        self.refused: Counter[tuple[str, int]] = Counter()

    def post(self, entry: Entry) -> tuple[int, int]:
        amounts_of_lines = [amount for _code, amount in entry.postings]
        code = OK
        if not amounts_of_lines or 0 in amounts_of_lines:
            code = EMPTY_ENTRY
        elif sum(amounts_of_lines):
            code = UNBALANCED
        elif entry.external_key in self.books:
            number, earlier = self.books[entry.external_key]
            if self.content(earlier) == self.content(entry):
                return number, OK
            code = KEY_REUSED
        if code:
            self.refused[entry.external_key, code] += 1
            return 0, code
        self.books[entry.external_key] = len(self.books) + 1, entry
        return len(self.books), OK

    @staticmethod
    def content(entry: Entry) -> tuple:
        return entry.kind, entry.device_id, entry.epoch, entry.seq, Counter(entry.postings)

    def balances(self) -> dict[str, int]:
        sums: defaultdict[str, int] = defaultdict(int)
        for _number, entry in self.books.values():
            for code, amount in entry.postings:
                sums[code] += amount
        return {code: sums[code] for code in CODES}

    def history(self, code: str) -> list[tuple[int, int]]:
        found = []
        for number, entry in self.books.values():
            touched = [amount for other, amount in entry.postings if other == code]
            if touched:
                found.append((number, sum(touched)))
        return sorted(found, reverse=True)


class Books(RuleBasedStateMachine):
    """Batches of entries go into the model and into the database."""

    engine: Engine

    @initialize()
    def open_books(self) -> None:
        self.school = add_school(self.engine)
        self.model = Model()

    @rule(batch=st.lists(entries, max_size=6))
    def post(self, batch: list[Entry]) -> None:
        with db.begin(self.engine) as conn:
            results = service.post(conn, self.school, batch, 9)
        assert results == [PostResult(*self.model.post(entry)) for entry in batch]

    @rule(batch=st.lists(entries, min_size=1, max_size=4))
    def post_and_fail(self, batch: list[Entry]) -> None:
        with pytest.raises(ZeroDivisionError):
            self.fail_after(batch)

    def fail_after(self, batch: list[Entry]) -> None:
        with db.begin(self.engine) as conn:
            service.post(conn, self.school, batch, 9)
            raise ZeroDivisionError

    @rule(code=st.sampled_from(CODES), limit=st.integers(1, 3))
    def read_history(self, code: str, limit: int) -> None:
        seen: list[tuple[int, int]] = []
        before = None
        with db.reading(self.engine) as conn:
            while True:
                page = service.history(conn, self.school, code, limit, before)
                seen += [(line.entry_id, line.amount_minor) for line in page]
                if len(page) < limit:
                    break
                before = page[-1].entry_id
        assert seen == self.model.history(code)

    @invariant()
    def books_agree(self) -> None:
        with db.reading(self.engine) as conn:
            assert service.balances(conn, self.school, CODES) == self.model.balances()
            assert service.books_sum(conn, self.school) == 0
            assert service.differing_balances(conn, self.school) == []
            refused: Counter[tuple[str, int]] = Counter()
            for row in service.refused_entries(conn, self.school, 10_000):
                refused[row.external_key, row.code] += row.times
            assert refused == self.model.refused


def books_of(engine: Engine) -> type[Books]:
    return type("BooksHere", (Books,), {"engine": engine})


def test_books_follow_the_model(store: Engine) -> None:
    machines.run(books_of(store), 40, 8)


def test_books_follow_the_model_afresh(store_sqlite: Engine) -> None:
    machines.run_fresh(books_of(store_sqlite), 25, 8)


# Seeded bugs: the comparison above must be able to fail.


def doubled_keys_are_posted(monkeypatch) -> None:
    monkeypatch.setattr(books, "_known_contents", lambda *_: {})


def balances_are_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(store_module, "add_to_balances", lambda *_: None)


def other_content_is_a_repeat(monkeypatch) -> None:
    monkeypatch.setattr(books, "_same", lambda *_: True)


def sums_are_not_checked(monkeypatch) -> None:
    monkeypatch.setattr(books, "_shape_refusal", lambda _: OK)


def refusals_are_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(store_module, "add_refused", lambda *_: None)


@pytest.mark.parametrize(
    "seed",
    [
        doubled_keys_are_posted,
        balances_are_forgotten,
        other_content_is_a_repeat,
        sums_are_not_checked,
        refusals_are_not_kept,
    ],
    ids=lambda seed: seed.__name__,
)
def test_model_catches_a_seeded_bug(store_sqlite: Engine, monkeypatch, seed) -> None:
    """Whatever shows first, an assertion or a constraint; the plays are the same each time."""
    seed(monkeypatch)
    machines.catch(books_of(store_sqlite), 150, 8)


def test_hundreds_of_entries_in_few_statements(store: Engine) -> None:
    school = add_school(store)
    batch = [Entry(f"sale {n}", "sale", n, ((purse(n), -n), (CATERER, n))) for n in range(1, 801)]
    statements = count_statements(store)
    with db.begin(store) as conn:
        results = service.post(conn, school, batch, 9)
    assert [result.refusal for result in results] == [OK] * 800
    assert len(statements) <= 14, statements


def count_statements(engine: Engine) -> list[str]:
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: seen.append(statement))
    return seen


def test_reused_key_is_seen_by_someone(store: Engine) -> None:
    school = add_school(store)
    first = Entry("bank:1", "topup", 1, ((BANK, -5), (purse(1), 5)))
    other = first._replace(postings=((BANK, -6), (purse(1), 6)))
    with db.begin(store) as conn:
        assert service.post(conn, school, [first], 9) == [PostResult(1, OK)]
        for now in (10, 11):
            assert service.post(conn, school, [other], now) == [PostResult(0, KEY_REUSED)]
        (row,) = service.refused_entries(conn, school)
        assert (row.external_key, row.code, row.times, row.first_at, row.last_at) == (
            "bank:1",
            KEY_REUSED,
            2,
            10,
            11,
        )
        assert row.content["postings"] == [[purse(1), 6], [BANK, -6]]
        assert service.balances(conn, school, [purse(1)]) == {purse(1): 5}


def test_school_keeps_its_own_keys(store: Engine) -> None:
    one, other = add_school(store), add_school(store)
    entry = Entry("bank:1", "topup", 1, ((BANK, -5), (purse(1), 5)))
    with db.begin(store) as conn:
        service.post(conn, one, [entry], 9)
        assert service.post(conn, other, [entry._replace(postings=((BANK, -6), (purse(1), 6)))], 9) == [
            PostResult(1, OK)
        ]
        assert service.balances(conn, one, [purse(1)]) == {purse(1): 5}


def test_unknown_kind_writes_nothing(store: Engine) -> None:
    school = add_school(store)
    with pytest.raises(IntegrityError), db.begin(store) as conn:
        service.post(conn, school, [Entry("k", "gift", 1, ((BANK, -5), (purse(1), 5)))], 9)
    with db.reading(store) as conn:
        assert bulk.select(conn, "SELECT count(*) FROM entry WHERE school_id = ?", (school,))[0][0] == 0
