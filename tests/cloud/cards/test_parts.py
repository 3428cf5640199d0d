"""Cards of which only a part of the number is known: they mean a card while no other has the same part."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud import bulk
from cloud.alarms import service as alarms
from cloud.cards import service as cards
from cloud.cards import store as card_rows
from cloud.csv_file import Row, Table
from cloud.db import begin, reading
from cloud.devices import service as devices
from cloud.keys import Vault
from firmware.hal.reader import Tap
from protocols.card import credential, printed
from protocols.errors import CARD_BLOCKED, CARD_UNKNOWN
from protocols.wire.table import WEAK
from tests.cloud.schools import add_pupils, add_school
from tests.firmware import rig

NOON = 1_750_000_000
# One piece of plastic in its spellings, and others of which a part is the same.
EM, EM_10, EM_8, EM_3_5, EM_5_5 = "01026F6C3A", "0040856634", "07302202", "111,27706", "00623,27706"
SHORT = (("em-32", EM_10), ("em-24", EM_8), ("em-3-5", EM_3_5), ("em-5-5", EM_5_5))
SAID = "em:01026F6C3A", "w34:026F6C3A", "w26:6F6C3A"
TWIN, TWIN_10 = "em:01056F6C3A", "0091188282"
STRANGER = "em:77026F6C3A"
PROOF, BARE = "app:4B4B01:0102030405060708", "a:046F6C3A7C564B"


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "keys")


@pytest.fixture
def school(store):
    """(school_id, the accounts of three pupils without cards)."""
    return new_school(store)


def new_school(store):
    school_id = add_school(store)
    with begin(store) as conn:
        accounts = add_pupils(conn, school_id, 3, first=school_id & 0xFFFF)
        conn.exec_driver_sql(f"DELETE FROM card WHERE school_id = {school_id}")
    return school_id, accounts


def read_in(store, vault, school, *rows, moves=False):
    """Import (pupil 0 to 2, number, format), from line 2 on; the problems and the warnings, (line, text)."""
    school_id, accounts = school
    made = [
        Row(line, {"student_id": f"S{accounts[pupil]}", "credential": number, "format": form})
        for line, (pupil, number, form) in enumerate(rows, 2)
    ]
    with begin(store) as conn:
        table = Table("cards.csv", made, [])
        done = cards.import_cards(conn, vault, school_id, table, NOON, moves=moves)
    told = [(each.line, each.reason) for each in done.applied.problems]
    return done.applied.changed, told, [(each.line, each.reason) for each in done.warnings]


def add_gate(store, vault, school, reader=None):
    with begin(store) as conn:
        kept = devices.Reader(reader) if reader else None
        made = devices.register(conn, vault, school[0], f"gate-{reader}", "gate", NOON, reader=kept)
    return made["device"]


def board(store, vault, school, device, monkeypatch):
    """A gate's whole firmware that has fetched the device's newest table."""
    with begin(store) as conn:
        devices.publish_tables(conn, vault, school[0], NOON)
        statement = "SELECT image FROM device_table WHERE device_id = ? ORDER BY version DESC LIMIT 1"
        image = bytes(bulk.select(conn, statement, (device,))[0][0])
    monkeypatch.setattr(rig, "REFERENCE_KEY", vault.reference_key(school[0]))
    made = rig.Rig()
    made.storage.files["accounts"] = image
    made.reboot()
    return made


def whose(made, text):
    """The account that a board opens for what its reader says, None where it refuses."""
    who = made.controller.identify(Tap("in", text, NOON, 0))
    return who.account if not who.refusal else None


@pytest.mark.parametrize(("form", "number"), SHORT)
def test_card_of_a_part_opens_a_gate_by_whatever_its_reader_says(
    store, vault, school, monkeypatch, form, number
):
    assert read_in(store, vault, school, (1, number, form)) == (1, [], [])
    for reader in (None, "mfrc522", "wiegand", "osdp"):
        device = add_gate(store, vault, school, reader)
        for said in SAID if reader in ("wiegand", "osdp") else SAID[:1]:
            made = board(store, vault, school, device, monkeypatch)
            assert made.tap(said)[0] == "go"
            who = made.controller.identify(Tap("in", said, NOON, 0))
            assert (who.account, who.row.flags) == (school[1][1], WEAK)
            assert made.tap("em:0102000000")[:2] == ("ask", CARD_UNKNOWN)


def test_whole_number_is_never_taken_for_one_of_the_same_end(store, vault, school, monkeypatch):
    """A reader that says all of a number is not content with a part, where the school knows all of it."""
    read_in(store, vault, school, (0, EM, "hex"))
    for reader in (None, "wiegand"):
        made = board(store, vault, school, add_gate(store, vault, school, reader), monkeypatch)
        assert whose(made, SAID[0]) == school[1][0]
        assert whose(made, STRANGER) is None


@pytest.mark.parametrize(
    ("first", "second", "known_by_all"),
    [
        ((0, EM_8, "em-24"), (1, EM_10, "em-32"), None),
        ((0, EM_10, "em-32"), (1, TWIN_10, "em-32"), None),
        ((0, EM, "hex"), (1, EM_3_5, "em-3-5"), 0),
        ((0, EM_8, "em-24"), (1, TWIN, "id"), 1),
    ],
)
def test_part_of_two_cards_is_nobodys_and_is_told(
    store, vault, school, monkeypatch, first, second, known_by_all
):
    changed, problems, warnings = read_in(store, vault, school, first, second)
    assert (changed, problems) == (2, [])
    assert [line for line, _text in warnings] == [2, 3]
    assert "line 3" in warnings[0][1]
    assert "line 2" in warnings[1][1]
    for reader in (None, "wiegand"):
        device = add_gate(store, vault, school, reader)
        made = board(store, vault, school, device, monkeypatch)
        for said in (*SAID, TWIN, "w34:056F6C3A", STRANGER):
            whole = {0: SAID[0], 1: TWIN}.get(known_by_all)
            assert whose(made, said) == (school[1][known_by_all] if said == whole else None), said
    # The same row again tells it again, of a card that is there already.
    _changed, _problems, warnings = read_in(store, vault, school, second)
    assert [(line, "there already" in text) for line, text in warnings] == [(2, True)]


def test_shared_part_is_one_alarm_until_it_is_settled(store, vault, school):
    read_in(store, vault, school, (0, EM_8, "em-24"), (1, EM_10, "em-32"))
    add_gate(store, vault, school)

    def told():
        with begin(store) as conn:
            devices.publish_tables(conn, vault, school[0], NOON)
            found = alarms.alarms(conn, school[0])
        return [(one.detail, one.over_at) for one in found if one.kind == "number_shared"]

    assert told() == told() == [("2 cards", 0)]
    read_in(store, vault, school, (2, TWIN_10, "em-32"))
    assert told() == [("3 cards", 0)]
    for account in school[1][:2]:
        with begin(store) as conn:
            for card in cards.of_account(conn, school[0], account):
                card_rows.remove(conn, school[0], card.card_ref)
    assert told() == [("3 cards", NOON)]
    read_in(store, vault, school, (0, EM_8, "em-24"))
    assert told() == [("2 cards", 0), ("3 cards", NOON)]


def test_card_that_is_read_in_whole_is_the_same_card(store, vault, school, monkeypatch):
    school_id, accounts = school
    for text, form in ((EM_8, "em-24"), (EM_10, "em-32"), (EM, "hex")):
        changed, problems, warnings = read_in(store, vault, school, (0, text, form))
        assert (changed, problems, warnings) == (1, [], [])
    # Whatever is less known of it says nothing new.
    for text, form in ((EM_8, "em-24"), (EM_10, "em-32"), (EM, "hex")):
        assert read_in(store, vault, school, (0, text, form)) == (0, [], [])
    made = board(store, vault, school, add_gate(store, vault, school, "wiegand"), monkeypatch)
    assert [whose(made, said) for said in (*SAID, STRANGER)] == [accounts[0]] * 3 + [None]
    with reading(store) as conn:
        states = sorted(card.status for card in cards.of_account(conn, school_id, accounts[0]))
    assert states == ["active", "blocked", "blocked"]


def test_blocked_card_stays_blocked_when_more_of_its_number_is_known(store, vault, school, monkeypatch):
    school_id, accounts = school
    read_in(store, vault, school, (0, EM_8, "em-24"))
    with begin(store) as conn:
        (card,) = cards.of_account(conn, school_id, accounts[0])
        cards.block(conn, school_id, card.card_ref, [], who="office", now=1)
    read_in(store, vault, school, (0, EM_8, "em-24"), (0, EM, "hex"))
    made = board(store, vault, school, add_gate(store, vault, school, "wiegand"), monkeypatch)
    for said in SAID:
        assert made.tap(said)[:2] == ("ask", CARD_BLOCKED)


def test_part_of_a_protected_cards_number_is_no_card(store, vault, school, monkeypatch):
    school_id, accounts = school
    with begin(store) as conn:
        cards.issue(conn, vault, school_id, accounts[0], PROOF, NOON, uid=BARE)
    _changed, problems, _warnings = read_in(store, vault, school, (0, "w26:6F6C3A", "id"))
    assert [line for line, _text in problems] == [2]
    # Another pupil's may be another piece of plastic: neither is known by it.
    _changed, problems, warnings = read_in(store, vault, school, (1, EM_8, "em-24"))
    assert (problems, len(warnings)) == ([], 1)
    made = board(store, vault, school, add_gate(store, vault, school, "wiegand"), monkeypatch)
    assert [whose(made, said) for said in (*SAID, PROOF)] == [None, None, None, accounts[0]]
    with begin(store) as conn:
        cards.issue(
            conn, vault, school_id, accounts[1], "app:4B4B01:1102030405060708", NOON, uid="a:056F6C3A"
        )
        assert len(cards.of_account(conn, school_id, accounts[1])) == 2


def test_short_number_that_is_no_fobs_is_refused(store, vault, school):
    _changed, problems, _warnings = read_in(store, vault, school, (0, "w37:123456789", "id"))
    assert problems == [
        (2, "readers make such a number of a longer one, which nobody can guess: give all of it")
    ]


_FORMS = st.sampled_from(("hex", "em-40", "em-32", "em-24", "em-3-5", "em-5-5"))
# Few numbers with many ends in common.
_NUMBERS = st.builds(
    lambda customer, upper, low: customer << 32 | upper << 24 | low,
    st.integers(0, 2), st.integers(0, 2), st.sampled_from((0x6F6C3A, 0x6F6C3B)),
)  # fmt: skip


def spelt(number, form):
    if form == "hex":
        return f"{number:010X}"
    if form == "em-40":
        return f"{number:013}"
    if form in ("em-32", "em-24"):
        return f"{number & 0xFFFFFFFF:010}" if form == "em-32" else f"{number & 0xFFFFFF:08}"
    high = number >> 16 & 0xFF if form == "em-3-5" else number >> 16 & 0xFFFF
    return f"{high:0{form[3]}},{number & 0xFFFF:05}"


def matches(known, air):
    """Whether a card that is known by one number may be the one whose number the reader has said."""
    if known in (air, *credential.aliases(air)):
        return True
    return credential.is_weak(air) and air in credential.aliases(known)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(0, 2), _NUMBERS, _FORMS), min_size=1, max_size=5), air=_NUMBERS)
def test_number_opens_for_the_only_card_that_it_can_be(store_sqlite, vault, monkeypatch, rows, air):
    """Whatever was imported in whatever spelling: who is let in is a pupil whose card it can be, and no other
    pupil's can it be, but where the number is whole and known in whole."""
    school = new_school(store_sqlite)
    owners = []
    for pupil, number, form in rows:
        known = printed.parse(spelt(number, form), form).credential
        _changed, problems, _warnings = read_in(
            store_sqlite, vault, school, (pupil, spelt(number, form), form)
        )
        if not problems:
            owners.append((known, school[1][pupil]))
    whole = f"em:{air:010X}"
    for reader in (None, "wiegand"):
        made = board(store_sqlite, vault, school, add_gate(store_sqlite, vault, school, reader), monkeypatch)
        for said in (whole, *credential.aliases(whole)) if reader else (whole,):
            can_be = {account for known, account in owners if matches(known, said)}
            in_whole = {account for known, account in owners if known == said == whole}
            found = whose(made, said)
            assert found is None or (in_whole or can_be) == {found}
            assert found is not None or len(owners) > 1 or not can_be
