"""Which cards are believed: proof, bare numbers, numbers with a part left out, cards until a day."""

import io
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud import bulk
from cloud.alarms import service as alarms
from cloud.cards import service as cards
from cloud.db import begin, reading
from cloud.devices import service as devices
from cloud.keys import Vault
from protocols.card import credential
from protocols.errors import CARD_KIND, CARD_PROTECTED, FIELD_RANGE, Fault
from protocols.wire import table
from tests.cloud.schools import add_pupils, add_school

NOON = 1_750_000_000  # 2025-06-15 18:06 in Moscow
DAY = 20254
PROOF = "app:4B4B01:0102030405060708"
BARE = "a:04C716D07C564B"
EM, EM_TWIN = "em:01026F6C3A", "em:02026F6C3A"
W26, W34 = "w26:6F6C3A", "w34:026F6C3A"
# Two pieces of plastic whose last three bytes of the first four are the same.
TWINS = "a:04A1B2C3D4E5F6", "a:05A1B2C3D4E5F6"


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "keys")


@pytest.fixture
def school(store):
    """(school_id, three accounts without cards)."""
    school_id = add_school(store)
    with begin(store) as conn:
        accounts = add_pupils(conn, school_id, 3)
        conn.exec_driver_sql("DELETE FROM card")
    return school_id, accounts


def give(store, vault, school_id, account, text, **more):
    with begin(store) as conn:
        return cards.issue(conn, vault, school_id, account, text, NOON, **more)


def rows(conn, school_id, device):
    """The rows of a device's newest table."""
    statement = (
        "SELECT image FROM device_table WHERE school_id = ? AND device_id = ? ORDER BY version DESC LIMIT 1"
    )
    image = bytes(bulk.select(conn, statement, (school_id, device))[0][0])
    return table.Table(io.BytesIO(image))


def shown(store, vault, school_id, device, text):
    """What a device does with a card that is shown: its row, or None."""
    reference = cards.reference(vault, school_id, text)[: table.REFERENCE]
    with reading(store) as conn:
        return rows(conn, school_id, device).find(reference)


def device(store, vault, school_id, kind="canteen", reader=None, now=NOON):
    with begin(store) as conn:
        made = devices.register(
            conn, vault, school_id, f"{kind}-{reader}", kind, now,
            reader=devices.Reader(reader) if reader else None,
        )  # fmt: skip
        devices.publish_tables(conn, vault, school_id, now)
    return made["device"]


def told(store, school_id, kind):
    with reading(store) as conn:
        return [alarm.detail for alarm in alarms.alarms(conn, school_id) if alarm.kind == kind]


def test_bare_number_of_a_protected_card_is_a_copy(store, vault, school):
    school_id, (account, _second, _third) = school
    give(store, vault, school_id, account, PROOF, uid=BARE, key_version=1)
    line = device(store, vault, school_id)
    proved, bare = (shown(store, vault, school_id, line, text) for text in (PROOF, BARE))
    assert (proved.account, proved.flags) == (account, 0)
    assert (bare.account, bare.flags, bare.rights, bare.benefit_days) == (account, table.COPY, 0, 0)
    with reading(store) as conn:
        (card,) = cards.of_account(conn, school_id, account)
    assert (card.is_protected, card.is_weak, card.key_version) == (True, False, 1)


def test_bare_number_of_a_protected_card_is_given_to_nobody(store, vault, school):
    school_id, (first, second, _third) = school
    give(store, vault, school_id, first, PROOF, uid=BARE)
    for account in (first, second):
        with pytest.raises(cards.CardRefused) as refused:
            give(store, vault, school_id, account, BARE)
        assert refused.value.code == CARD_PROTECTED
        assert "04C7" not in str(refused.value)


def test_card_that_learns_to_prove_itself_is_weak_no_more(store, vault, school):
    school_id, (first, second, _third) = school
    give(store, vault, school_id, first, BARE)
    with pytest.raises(cards.CardTaken):
        give(store, vault, school_id, second, PROOF, uid=BARE)
    give(store, vault, school_id, first, PROOF, uid=BARE)
    line = device(store, vault, school_id)
    assert shown(store, vault, school_id, line, BARE).flags == table.COPY
    assert shown(store, vault, school_id, line, PROOF).flags == 0


def test_blocked_copy_stays_a_copy(store, vault, school):
    school_id, (account, _second, _third) = school
    card_ref = give(store, vault, school_id, account, PROOF, uid=BARE)
    with begin(store) as conn:
        cards.block(conn, school_id, card_ref, [], who="office", now=1)
    line = device(store, vault, school_id)
    assert shown(store, vault, school_id, line, BARE).flags == table.COPY
    assert shown(store, vault, school_id, line, PROOF).flags == table.BLOCKED


@pytest.mark.parametrize(
    ("text", "uid", "code"),
    [
        (PROOF, "", FIELD_RANGE),
        (PROOF, "em:01026F6C3A", FIELD_RANGE),
        (PROOF, "a:08123456", CARD_KIND),
        (BARE, "a:04C716D07C564C", FIELD_RANGE),
        ("a:08123456", "", CARD_KIND),
        (W26, "", CARD_KIND),
        (W34, "", CARD_KIND),
        ("w37:123456789", "", CARD_KIND),
    ],
)
def test_what_names_no_card_is_refused(store_sqlite, vault, text, uid, code):
    school_id = add_school(store_sqlite)
    with begin(store_sqlite) as conn:
        (account,) = add_pupils(conn, school_id, 1)
        with pytest.raises(Fault) as fault:
            cards.issue(conn, vault, school_id, account, text, NOON, uid=uid)
        assert fault.value.code == code
        assert bulk.select(conn, "SELECT 1 FROM card_alias") == []


def test_reader_that_leaves_a_part_out_finds_the_card(store, vault, school):
    school_id, (account, _second, _third) = school
    give(store, vault, school_id, account, EM)
    wiegand = device(store, vault, school_id, "gate", "wiegand")
    exact = device(store, vault, school_id, "canteen", "mfrc522")
    for text in (EM, W26, W34):
        assert shown(store, vault, school_id, wiegand, text).flags == table.WEAK
    assert shown(store, vault, school_id, exact, EM).account == account
    assert shown(store, vault, school_id, exact, W26) is None


def test_card_is_known_by_every_number_that_readers_say(store, vault, school):
    school_id, (account, _second, _third) = school
    em = give(store, vault, school_id, account, EM)
    proved = give(store, vault, school_id, account, PROOF, uid=BARE)
    with reading(store) as conn:
        told = {each: set(cards.references(conn, school_id, each)) for each in (em, proved)}
    assert told[em] == {cards.reference(vault, school_id, text) for text in (EM, W26, W34)}
    said = (PROOF, BARE, *credential.aliases(BARE))
    assert told[proved] == {cards.reference(vault, school_id, text) for text in said}


def test_number_of_two_cards_is_nobodys(store, vault, school):
    school_id, (first, second, _third) = school
    give(store, vault, school_id, first, EM)
    give(store, vault, school_id, second, EM_TWIN)
    gate = device(store, vault, school_id, "gate", "wiegand")
    assert shown(store, vault, school_id, gate, W26) is None
    assert shown(store, vault, school_id, gate, W34) is None
    assert {shown(store, vault, school_id, gate, text).account for text in (EM, EM_TWIN)} == {first, second}
    assert told(store, school_id, "number_shared") == ["2 cards"]


def test_lossy_number_of_a_protected_card_is_never_anothers(store, vault, school):
    school_id, (first, second, _third) = school
    give(store, vault, school_id, first, PROOF, uid=TWINS[0])
    shared = "w26:A1B2C3"
    gate = device(store, vault, school_id, "gate", "wiegand")
    assert shown(store, vault, school_id, gate, shared).flags == table.COPY
    give(store, vault, school_id, second, TWINS[1])
    with begin(store) as conn:
        devices.publish_tables(conn, vault, school_id, NOON)
    assert shown(store, vault, school_id, gate, shared) is None


def test_card_that_was_given_by_its_short_number_is_not_anothers(store, vault, school):
    """Cards of an older version may stand under a number with a part left out."""
    school_id, (first, second, _third) = school
    key = vault.reference_key(school_id)
    with begin(store) as conn:
        statement = "INSERT INTO card (school_id, card_ref, account_id, issued_at) VALUES (?, ?, ?, 0)"
        bulk.run(conn, statement, (school_id, credential.card_ref(key, W26), first))
    gate = device(store, vault, school_id, "gate", "wiegand")
    assert shown(store, vault, school_id, gate, W26).account == first
    give(store, vault, school_id, second, EM)
    with begin(store) as conn:
        devices.publish_tables(conn, vault, school_id, NOON)
    assert shown(store, vault, school_id, gate, W26) is None


def test_few_cards_share_a_short_number_unless_it_is_said_backwards():
    numbers = random.Random(1)
    said = [credential.aliases(f"a:04{numbers.getrandbits(48):012X}") for _ in range(5000)]
    _w34, in_order, _w34_back, backwards = (Counter(each) for each in zip(*said, strict=True))
    shared = [sum(n for n in each.values() if n > 1) for each in (in_order, backwards)]
    assert shared[0] < 10
    assert 300 < shared[1] < 420


def test_temporary_card_ends_by_itself(store, vault, school):
    school_id, (first, second, _third) = school
    give(store, vault, school_id, first, EM, kind="temporary", until_day=DAY + 1)
    line = device(store, vault, school_id)
    assert shown(store, vault, school_id, line, EM).flags == table.WEAK
    with pytest.raises(cards.CardTaken):
        give(store, vault, school_id, second, EM, kind="temporary", until_day=DAY + 9)
    with begin(store) as conn:
        # On its last day it is good, at the first moment of the next the tables are due, and only then.
        last, after = NOON + 5 * 3600 + 86400, NOON + 6 * 3600 + 86400
        assert devices.publish_ended(conn, vault, NOON) == []
        assert devices.publish_ended(conn, vault, last) == []
        assert devices.publish_ended(conn, vault, after) == [school_id]
        assert devices.publish_ended(conn, vault, after) == []
    assert shown(store, vault, school_id, line, EM).flags == table.WEAK | table.BLOCKED
    with begin(store) as conn:
        cards.issue(conn, vault, school_id, second, EM, after, kind="temporary", until_day=DAY + 9)
        devices.publish_tables(conn, vault, school_id, after)
    row = shown(store, vault, school_id, line, EM)
    assert (row.account, row.flags) == (second, table.WEAK)


def test_only_a_temporary_card_has_a_last_day(store_sqlite, vault):
    school_id = add_school(store_sqlite)
    with begin(store_sqlite) as conn:
        (account,) = add_pupils(conn, school_id, 1)
        for kind, until_day in (
            ("temporary", None),
            ("card", DAY),
            ("bracelet", None),
            ("temporary", 1 << 16),
        ):
            with pytest.raises(Fault) as fault:
                cards.issue(conn, vault, school_id, account, EM, NOON, kind, until_day=until_day)
            assert fault.value.code == FIELD_RANGE


_PLASTIC = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plastic=_PLASTIC)
def test_no_number_ever_opens_another_account(store_sqlite, vault, plastic):
    """Whatever was issued in whatever order: each number that opens an account is of one of its own cards,
    and a number of a protected card opens nothing."""
    school_id = add_school(store_sqlite)
    owners, protected = {}, {}
    with begin(store_sqlite) as conn:
        accounts = add_pupils(conn, school_id, 3, first=school_id & 0xFFFF)
        conn.exec_driver_sql(f"DELETE FROM card WHERE school_id = {school_id}")
        for number, (who, chip, proves) in enumerate(plastic):
            bare = f"a:{chip % 2 + 4:02X}A1B2{chip % 3:02X}D4E5F6"
            text = f"app:4B4B01:{chip:016X}" if proves else bare
            try:
                cards.issue(conn, vault, school_id, accounts[who], text, NOON + number, uid=bare)
            except (cards.CardRefused, Fault):
                continue
            owners[text] = accounts[who]
            if proves:
                protected[bare] = text
        known = cards.table_cards(conn, school_id, DAY)
    key = vault.reference_key(school_id)
    opens = {one.reference: one for one in (*known.exact, *known.lossy) if one.active and not one.is_copy}
    for bare in protected:
        assert credential.card_ref(key, bare)[:8] not in opens
    seen = {}
    for text, account in owners.items():
        for number in (text, *credential.aliases(text)):
            found = opens.get(credential.card_ref(key, number)[:8])
            assert found is None or found.account_id == account or seen.get(number) == found.account_id
            seen[number] = account
    for bare in protected:
        for number in credential.aliases(bare):
            assert credential.card_ref(key, number)[:8] not in opens
