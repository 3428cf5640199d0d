"""Cards: issued, blocked, imported, and what devices are told of them."""

import pytest

from cloud.cards import service as cards
from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.keys import Vault
from protocols.errors import BAD_CREDENTIAL, Fault
from tests.cloud.schools import add_pupils, add_school

NOW = 1_800_000_000
HEADER = "student_id;credential\n"


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "keys")


@pytest.fixture
def school(store):
    """(school_id, two accounts without cards)."""
    school_id = add_school(store)
    with begin(store) as conn:
        accounts = add_pupils(conn, school_id, 2)
        conn.exec_driver_sql("DELETE FROM card")
    return school_id, accounts


def load(store, vault, school_id, *rows):
    table = parse_table("cards.csv", (HEADER + "\n".join(rows)).encode(), cards.COLUMNS)
    with begin(store) as conn:
        applied = cards.import_cards(conn, vault, school_id, table, NOW).applied
    return applied.rows, applied.changed, [(problem.line, problem.reason) for problem in applied.problems]


def ids(accounts):
    return [f"S{account}" for account in accounts]


def test_issued_card_opens_its_account(store, vault, school):
    school_id, (first, second) = school
    with begin(store) as conn:
        card_ref = cards.issue(conn, vault, school_id, first, "a:04c716d07c564b", NOW)
        assert cards.issue(conn, vault, school_id, first, "a:04C716D07C564B", NOW + 1) == card_ref
        assert cards.of_account(conn, school_id, first) == [
            cards.Card(card_ref, first, "card", "active", NOW, False, True, 0, None)
        ]
        assert cards.find(conn, vault, school_id, "A:04C716D07C564B") == cards.Card(
            card_ref, first, "card", "active", NOW, False, True, 0, None
        )
        assert cards.find(conn, vault, school_id, "a:04C716D07C564C") is None
        with pytest.raises(cards.CardTaken):
            cards.issue(conn, vault, school_id, second, "a:04C716D07C564B", NOW)
        with pytest.raises(Fault) as fault:
            cards.issue(conn, vault, school_id, second, "04C716D07C564B", NOW)
    assert fault.value.code == BAD_CREDENTIAL
    assert "04C7" not in str(fault.value)


def test_same_card_has_other_reference_elsewhere(vault):
    assert cards.reference(vault, 1, "a:0F569FAB") != cards.reference(vault, 2, "a:0F569FAB")


def test_blocked_card_and_left_pupil_are_closed(store, vault, school):
    school_id, (first, second) = school
    with begin(store) as conn:
        refs = [
            cards.issue(conn, vault, school_id, account, f"a:0F569F{account & 0xFF:02X}", NOW)
            for account in (first, second)
        ]
        key_fob = cards.issue(conn, vault, school_id, first, "a:0F569FFF", NOW, kind="fob")
        assert cards.block(conn, school_id, refs[0], [], who="office", now=1)
        assert not cards.block(conn, school_id, refs[0], [], who="office", now=1)
        conn.exec_driver_sql(f"UPDATE pupil SET status = 'left' WHERE account_id = {second}")
        active = {
            card.reference: (card.account_id, card.active)
            for card in cards.table_cards(conn, school_id).exact
            for card in cards.table_cards(conn, school_id).exact
        }
        assert active == {
            refs[0][:8]: (first, False),
            key_fob[:8]: (first, True),
            refs[1][:8]: (second, False),
        }
        assert cards.unblock(conn, school_id, refs[0], [], who="office", now=1)
        assert {card.reference for card in cards.table_cards(conn, school_id).exact if card.active} == {
            refs[0][:8],
            key_fob[:8],
        }


def test_import_is_idempotent_and_respects_blocks(store, vault, school):
    school_id, accounts = school
    rows = [f"{ids(accounts)[0]};a:0F569FAB", f"{ids(accounts)[1]};a:04C716D07C564B"]
    assert load(store, vault, school_id, *rows) == (2, 2, [])
    with begin(store) as conn:
        cards.block(conn, school_id, cards.reference(vault, school_id, "a:0F569FAB"), [], who="office", now=1)
    assert load(store, vault, school_id, *rows) == (2, 0, [])
    with reading(store) as conn:
        assert [card.status for card in cards.of_account(conn, school_id, accounts[0])] == ["blocked"]


def test_card_given_to_another_pupil_moves(store, vault, school):
    school_id, accounts = school
    load(store, vault, school_id, f"{ids(accounts)[0]};a:0F569FAB")
    assert load(store, vault, school_id, f"{ids(accounts)[1]};a:0F569FAB") == (1, 1, [])
    with reading(store) as conn:
        assert cards.of_account(conn, school_id, accounts[0]) == []
        assert len(cards.of_account(conn, school_id, accounts[1])) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{1};A:0f569fab", "two cards for one credential, first on line 2"),
        ("{0};a:0F569FAB", "two cards for one credential, first on line 2"),
        ("S404;a:04C716D07C564B", "unknown pupil"),
        ("{1};a:04C716", "credential is none: length"),
        ("{1};a:04C716D07C56ZZ", "credential is none: digits"),
        ("{1};04C716D07C564", "credential is none: number"),
        ("{1};x:04C716D07C564B", "credential is none: number"),
        ("{1};", "credential is empty"),
        ("{1}", "malformed line: 1 fields, the header has 2"),
    ],
)
def test_bad_row_is_told_and_skipped(store, vault, school, row, reason):
    school_id, accounts = school
    names = ids(accounts)
    told = load(
        store, vault, school_id, f"{names[0]};a:0F569FAB", row.format(*names), f"{names[1]};a:0F569FAC"
    )
    assert told == (2, 2, [(3, reason)])
    with reading(store) as conn:
        assert [len(cards.of_account(conn, school_id, account)) for account in accounts] == [1, 1]
