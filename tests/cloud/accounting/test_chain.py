"""The chain over the entries: its bytes, and that post() follows it."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.accounting import chain, service
from cloud.accounting.service import BANK, CATERER, Entry, purse
from tests.cloud.schools import add_school

TEXTS = st.tuples(*[st.text(max_size=3)] * 4)
NUMBERS = st.integers(0, 3)
CONTENTS = st.tuples(
    NUMBERS,
    TEXTS,
    st.tuples(NUMBERS, NUMBERS),
    st.tuples(*[st.none() | NUMBERS] * 3),
    st.lists(st.tuples(st.text(max_size=2), NUMBERS), max_size=2).map(tuple),
)


def test_bytes_are_those_of_the_docs() -> None:
    found = chain.entry_bytes(
        3, ("record:7:1:9", "sale", "", ""), (11, 12), (7, 1, 9), ((purse(5), -300), (CATERER, 300))
    )
    by_hand = """
        0300000000000000 0b00000000000000 0c00000000000000 0700000000000000 0100000000000000
        0900000000000000 0c000000 04000000 00000000 00000000 02000000
        7265636f72643a373a313a39 73616c65
        d4feffffffffffff 0e000000 70757273653a3030303030303035
        2c01000000000000 09000000 636174657265723a31
    """
    assert found == bytes.fromhex(by_hand)
    start = chain.genesis(0x5C000001)
    assert start == hashlib.sha256(b"klasskart/1/books" + bytes.fromhex("0100005c00000000")).digest()
    assert chain.follow(start, found) == hashlib.sha256(start + found).digest()


@given(CONTENTS, CONTENTS)
def test_two_entries_never_share_bytes(one, other) -> None:
    assert (one == other) == (chain.entry_bytes(*one) == chain.entry_bytes(*other))


def test_no_record_differs_from_record_zero() -> None:
    made = {chain.entry_bytes(1, ("", "", "", ""), (0, 0), source, ()) for source in ((None,) * 3, (0,) * 3)}
    assert len(made) == 2


def test_post_moves_the_head(store: Engine) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        assert service.head(conn, school) == (0, chain.genesis(school))
        batch = [Entry(f"k{number}", "topup", 1, ((BANK, -5), (purse(1), 5))) for number in range(3)]
        service.post(conn, school, batch, 9)
        service.post(conn, school, [*batch, batch[0]._replace(kind="sale")], 9)
        hashes = bulk.select(conn, "SELECT hash FROM entry WHERE school_id = ? ORDER BY entry_id", (school,))
        assert service.head(conn, school) == (3, bytes(hashes[-1][0]))
        assert len({bytes(row[0]) for row in hashes}) == 3


def test_head_moves_back_with_its_transaction(store: Engine) -> None:
    school = add_school(store)
    entry = Entry("k", "topup", 1, ((BANK, -5), (purse(1), 5)))
    with db.reading(store) as conn:  # never commits
        service.post(conn, school, [entry], 9)
    with db.reading(store) as conn:
        assert service.head(conn, school) == (0, chain.genesis(school))
