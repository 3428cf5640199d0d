"""The desk's way into the cloud: its token, operations that are taken once, the list of pupils."""

import json

import pytest

from cloud import bulk
from cloud.cards import book
from cloud.cards import service as cards
from cloud.db import begin, reading
from cloud.people import service as people
from protocols.card import credential
from protocols.errors import (
    CARD_KIND,
    CARD_PROTECTED,
    CARD_TAKEN,
    CARD_UNKNOWN,
    FIELD_RANGE,
    KEY_REUSED,
    PUPIL_UNKNOWN,
)
from scripts import sample_school as sample
from tests.cloud import schools
from tests.fixtures.pages import Pages

PROOF, BARE = "app:4B4B01:0102030405060708", "a:04C716D07C564B"
OTHER_PROOF, OTHER_BARE = "app:4B4B01:1112131415161718", "a:04C716D07C564C"


class Desk:
    """A desk's PC, as reader_host speaks to the cloud: no Origin, no cookie."""

    def __init__(self, pages: Pages, token: str) -> None:
        self.pages = pages
        self.client = pages.app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}
        self.number = 0

    def send(self, *operations):
        answer = self.client.post(
            "/api/desk/cards", json={"operations": list(operations)}, headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        return [(each["result"], each["number"]) for each in answer.get_json()["results"]]

    def make(self, op, student, credential, **more):
        self.number += 1
        return {"op": op, "op_id": f"{self.number:016x}", "student": student, "credential": credential,
                "uid": None, "kind": "card", "until": None, "at": self.pages.clock.now, **more}  # fmt: skip


@pytest.fixture
def desk(pages: Pages) -> Desk:
    with begin(pages.engine) as conn:
        _made, token = cards.add_desk(conn, pages.site.vault, sample.SCHOOL, "desk-1", pages.clock.now)
    return Desk(pages, token)


def student(pages, account):
    with reading(pages.engine) as conn:
        statement = "SELECT external_id FROM pupil WHERE school_id = ? AND account_id = ?"
        return bulk.select(conn, statement, (sample.SCHOOL, account))[0][0]


def found(pages, text):
    with reading(pages.engine) as conn:
        return cards.find(conn, pages.site.vault, sample.SCHOOL, text)


def tables(pages):
    with reading(pages.engine) as conn:
        statement = "SELECT table_version FROM school WHERE school_id = ?"
        return bulk.select(conn, statement, (sample.SCHOOL,))[0][0]


def test_operation_is_taken_once(pages: Pages, desk: Desk) -> None:
    one = desk.make("issue", student(pages, sample.MASHA), PROOF, uid=BARE, key_version=3)
    before = tables(pages)
    assert desk.send(one) == [("accepted", 0)]
    assert tables(pages) == before + 1
    card = found(pages, PROOF)
    assert (card.account_id, card.is_protected, card.key_version) == (sample.MASHA, True, 3)
    with begin(pages.engine) as conn:
        cards.block(conn, sample.SCHOOL, card.card_ref)
    # The answer was lost and it comes again: a card that was blocked meanwhile stays so.
    assert desk.send(one) == [("accepted", 0)]
    assert found(pages, PROOF).status == "blocked"
    assert tables(pages) == before + 1
    assert desk.send({**one, "student": student(pages, sample.SISTER)}) == [("refused", KEY_REUSED)]
    assert found(pages, PROOF).account_id == sample.MASHA


def test_refusal_is_told_again_as_it_was(pages: Pages, desk: Desk) -> None:
    masha, sister = student(pages, sample.MASHA), student(pages, sample.SISTER)
    late = desk.make("issue", sister, PROOF, uid=BARE)
    assert desk.send(desk.make("issue", masha, PROOF, uid=BARE), late) == [
        ("accepted", 0),
        ("refused", CARD_TAKEN),
    ]
    assert desk.send(desk.make("wipe", "", PROOF, uid=BARE)) == [("accepted", 0)]
    assert desk.send(late) == [("refused", CARD_TAKEN)]
    assert found(pages, PROOF) is None


def test_wiped_card_is_free_for_anybody(pages: Pages, desk: Desk) -> None:
    masha, sister = student(pages, sample.MASHA), student(pages, sample.SISTER)
    desk.send(desk.make("issue", masha, PROOF, uid=BARE))
    assert desk.send(desk.make("issue", sister, BARE)) == [("refused", CARD_PROTECTED)]
    wipe = desk.make("wipe", "", PROOF, uid=BARE)
    assert desk.send(wipe, wipe) == [("accepted", 0)] * 2
    assert desk.send(desk.make("wipe", "", PROOF, uid=BARE)) == [("accepted", 0)]
    assert desk.send(desk.make("issue", sister, BARE)) == [("accepted", 0)]
    assert found(pages, BARE).account_id == sample.SISTER


def test_replacing_closes_the_lost_card_and_leaves_the_fob(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(
        desk.make("issue", masha, PROOF, uid=BARE), desk.make("issue", masha, "em:01026F6C3A", kind="fob")
    )
    assert desk.send(desk.make("replace", masha, OTHER_PROOF, uid=OTHER_BARE)) == [("accepted", 0)]
    states = {text: found(pages, text).status for text in (PROOF, OTHER_PROOF, "em:01026F6C3A")}
    assert states == {PROOF: "blocked", OTHER_PROOF: "active", "em:01026F6C3A": "active"}


def test_card_in_somebodys_hand_opens_again(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(desk.make("issue", masha, PROOF, uid=BARE), desk.make("block", masha, PROOF))
    assert found(pages, PROOF).status == "blocked"
    assert desk.send(desk.make("issue", masha, PROOF, uid=BARE)) == [("accepted", 0)]
    assert found(pages, PROOF).status == "active"


def test_renewed_keys_change_the_version_and_nothing_else(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(desk.make("issue", masha, PROOF, uid=BARE, key_version=1))
    with begin(pages.engine) as conn:
        cards.block(conn, sample.SCHOOL, found(pages, PROOF).card_ref)
    before, table = found(pages, PROOF), tables(pages)
    renewal = desk.make("renew", "", PROOF, uid=BARE, kind=None, key_version=3)
    assert desk.send(renewal, renewal) == [("accepted", 0)] * 2
    assert found(pages, PROOF) == before._replace(key_version=3)
    # Word of another desk that was away for long: the card has newer keys by now.
    assert desk.send(desk.make("renew", masha, PROOF, uid=BARE, key_version=2)) == [("accepted", 0)]
    assert found(pages, PROOF).key_version == 3
    # Devices need not hear of it.
    assert tables(pages) == table


def test_what_has_no_keys_or_no_owner_is_not_renewed(pages: Pages, desk: Desk) -> None:
    desk.send(desk.make("issue", student(pages, sample.MASHA), "a:04A1B2C3"))
    assert desk.send(desk.make("renew", "", "a:04A1B2C3", key_version=2)) == [("refused", CARD_KIND)]
    assert desk.send(desk.make("renew", "", PROOF, uid=BARE, key_version=2)) == [("refused", CARD_UNKNOWN)]
    assert found(pages, PROOF) is None
    assert found(pages, "a:04A1B2C3").key_version == 0


def test_temporary_card_has_its_last_day(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    given = desk.make("temporary", masha, BARE, kind="temporary", until="2026-12-31")
    assert desk.send(given) == [("accepted", 0)]
    assert (found(pages, BARE).kind, found(pages, BARE).until_day) == ("temporary", 20818)
    assert desk.send(desk.make("temporary", masha, OTHER_BARE, kind="temporary")) == [
        ("refused", FIELD_RANGE)
    ]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"student": "S-404"}, PUPIL_UNKNOWN),
        ({"credential": "w26:D41B81", "uid": None}, CARD_KIND),
        ({"credential": "a:08123456", "uid": None}, CARD_KIND),
        ({"credential": 5}, FIELD_RANGE),
        ({"uid": None}, FIELD_RANGE),
        ({"op": "burn"}, FIELD_RANGE),
        ({"op_id": "1"}, FIELD_RANGE),
        ({"op_id": "A" * 16}, FIELD_RANGE),
        ({"kind": "bracelet"}, FIELD_RANGE),
        ({"until": "31.12.2026"}, FIELD_RANGE),
        ({"at": -1}, FIELD_RANGE),
        ({"at": True}, FIELD_RANGE),
        ({"key_version": 256}, FIELD_RANGE),
        ({"op": "block"}, CARD_UNKNOWN),
        (None, FIELD_RANGE),
    ],
)
def test_bad_operation_is_refused_and_the_next_is_done(pages: Pages, desk: Desk, change, number) -> None:
    masha = student(pages, sample.MASHA)
    bad = desk.make("issue", masha, PROOF, uid=BARE)
    good = desk.make("issue", masha, OTHER_PROOF, uid=OTHER_BARE)
    told = desk.send(None if change is None else {**bad, **change}, good)
    assert told == [("refused", number), ("accepted", 0)]
    assert found(pages, PROOF) is None
    assert found(pages, OTHER_PROOF).account_id == sample.MASHA


def test_no_id_of_a_card_is_kept(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(
        desk.make("issue", masha, PROOF, uid=BARE), desk.make("issue", "S-404", OTHER_PROOF, uid=OTHER_BARE)
    )
    with reading(pages.engine) as conn:
        kept = json.dumps([
            str(list(row))
            for name in ("card", "card_alias", "desk_operation", "desk")
            for row in bulk.select(conn, f"SELECT * FROM {name}")
        ])  # fmt: skip
    for text in ("0102030405060708", "04C716D07C564B", "1112131415161718", "04C716D07C564C"):
        assert text.lower() not in kept.lower()
        assert repr(bytes.fromhex(text))[2:-1] not in kept
    assert desk.headers["Authorization"].removeprefix("Bearer ") not in kept


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer 00"},
                                     {"Authorization": "Basic x"}])  # fmt: skip
def test_without_a_token_there_is_nothing(pages: Pages, desk: Desk, headers) -> None:
    client = pages.app.test_client()
    for answer in (
        client.post("/api/desk/cards", json={"operations": []}, headers=headers),
        client.get("/api/desk/roster", headers=headers),
    ):
        assert (answer.status_code, answer.get_json()) == (401, {"error": 401})


def test_token_alone_without_its_word_is_none(pages: Pages, desk: Desk) -> None:
    token = desk.headers["Authorization"].removeprefix("Bearer ")
    answer = desk.client.get("/api/desk/roster", headers={"Authorization": token})
    assert answer.status_code == 401


def test_revoked_desk_is_not_let_in(pages: Pages, desk: Desk) -> None:
    assert desk.client.get("/api/desk/roster", headers=desk.headers).status_code == 200
    with begin(pages.engine) as conn:
        cards.revoke_desk(conn, sample.SCHOOL, "desk-1", pages.clock.now)
    assert desk.client.get("/api/desk/roster", headers=desk.headers).status_code == 401


@pytest.mark.parametrize(
    "body", ["", "[]", '{"operations": {}}', '{"operations": ' + str([0] * 101) + "}", "{"]
)
def test_body_that_is_none_does_nothing(pages: Pages, desk: Desk, body) -> None:
    headers = {**desk.headers, "Content-Type": "application/json"}
    answer = desk.client.post("/api/desk/cards", data=body, headers=headers)
    assert (answer.status_code, answer.get_json()) == (400, {"error": 400})


def roster(desk: Desk, tag: str = ""):
    headers = {**desk.headers, **({"If-None-Match": tag} if tag else {})}
    return desk.client.get("/api/desk/roster", headers=headers)


def lines(pages: Pages, desk: Desk) -> dict:
    """The cards of the roster by what they say, as a desk that has the key of references finds them."""
    key = pages.site.vault.reference_key(sample.SCHOOL)
    told = {one["ref"]: one for one in roster(desk).get_json()["cards"]}
    texts = (PROOF, BARE, OTHER_PROOF, "em:01026F6C3A", "em:02026F6C3A", "a:04A1B2C3", "w34:04A1B2C3")
    return {text: told.get(credential.card_ref(key, text)[:8].hex()) for text in texts}


def test_roster_has_every_card_by_the_reference_of_devices(pages: Pages, desk: Desk) -> None:
    masha, key = student(pages, sample.MASHA), pages.site.vault.reference_key(sample.SCHOOL)
    desk.send(
        desk.make("issue", masha, PROOF, uid=BARE, key_version=3),
        desk.make("temporary", masha, "a:04A1B2C3", kind="temporary", until="2026-12-31"),
        desk.make("issue", masha, "em:01026F6C3A", kind="fob"),
    )
    told = lines(pages, desk)
    proof, plain = told[PROOF], told["a:04A1B2C3"]
    assert [proof[name] for name in ("student", "kind", "blocked", "key_version")] == [
        masha,
        "card",
        False,
        3,
    ]
    assert proof["bare"] == [credential.card_ref(key, BARE)[:8].hex()]
    assert (plain["until"], plain["key_version"]) == ("2026-12-31", 0)
    parts = {credential.card_ref(key, each)[:8].hex() for each in credential.aliases("a:04A1B2C3")}
    assert set(plain["parts"]) == parts
    assert told["w34:04A1B2C3"] is None
    # Devices hold the same eight bytes.
    with reading(pages.engine) as conn:
        known = {row.reference.hex() for row in cards.table_cards(conn, sample.SCHOOL).exact}
    assert proof["ref"] in known
    for text in ("04A1B2C3", "026F6C3A", "0102030405060708", "04C716D07C564B"):
        assert text.lower() not in roster(desk).text.lower()


def test_part_that_two_cards_share_is_told_of_neither(pages: Pages, desk: Desk) -> None:
    masha, sister = student(pages, sample.MASHA), student(pages, sample.SISTER)
    desk.send(desk.make("issue", masha, "em:01026F6C3A"))
    assert len(lines(pages, desk)["em:01026F6C3A"]["parts"]) == 2
    desk.send(desk.make("issue", sister, "em:02026F6C3A"))
    told = lines(pages, desk)
    assert told["em:01026F6C3A"]["parts"] == told["em:02026F6C3A"]["parts"] == []


def test_closed_card_and_one_of_who_has_left_stay_known(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(desk.make("issue", masha, PROOF, uid=BARE))
    with begin(pages.engine) as conn:
        cards.block(conn, sample.SCHOOL, found(pages, PROOF).card_ref)
    assert lines(pages, desk)[PROOF]["blocked"]
    with begin(pages.engine) as conn:
        conn.exec_driver_sql(f"UPDATE pupil SET status = 'left' WHERE account_id = {sample.MASHA}")
    assert lines(pages, desk)[PROOF]["student"] == ""
    assert masha not in roster(desk).text


def test_roster_of_another_school_has_none_of_these_cards(pages: Pages, desk: Desk) -> None:
    desk.send(desk.make("issue", student(pages, sample.MASHA), PROOF, uid=BARE))
    with begin(pages.engine) as conn:
        other = people.create_school(conn, "Other", "Europe/Moscow")
        _made, token = cards.add_desk(conn, pages.site.vault, other, "there", pages.clock.now)
    assert roster(Desk(pages, token)).get_json() == {"pupils": [], "cards": []}


def test_roster_is_sent_when_it_has_changed(pages: Pages, desk: Desk) -> None:
    tag = roster(desk).headers["ETag"]
    again = roster(desk, tag)
    assert (again.status_code, again.data) == (304, b"")
    desk.send(desk.make("issue", student(pages, sample.MASHA), PROOF, uid=BARE))
    changed = roster(desk, tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_roster_of_a_large_school_is_small_enough(pages: Pages) -> None:
    """1,500 pupils and 2,000 cards, three of four protected: an eighth of what a desk takes at most."""
    school_id = schools.add_school(pages.engine)
    key = pages.site.vault.reference_key(school_id)
    with begin(pages.engine) as conn:
        accounts = schools.add_pupils(conn, school_id, 1500, classes=60)
        known = book.Book(school_id, [], [])
        for number in range(2000):
            proof, bare = f"app:4B4B01:{number:016X}", f"a:04{number:012X}"
            shown, uid = (proof, bare) if number % 4 else (f"a:{0x10000000 + number:08X}", "")
            wish = book.Wish(book.numbers_of(key, shown, uid), accounts[number % 1500])
            known.give(wish, today=0, now=pages.clock.now)
        known.write(conn)
        _made, token = cards.add_desk(conn, pages.site.vault, school_id, "there", pages.clock.now)
    told = roster(Desk(pages, token))
    assert len(told.get_json()["cards"]) == 3500
    assert len(told.data) < 1024 * 1024


def test_roster_names_pupils_and_the_reading_is_logged(pages: Pages, desk: Desk) -> None:
    told = desk.client.get("/api/desk/roster", headers=desk.headers).get_json()["pupils"]
    masha = next(one for one in told if one["student"] == student(pages, sample.MASHA))
    assert masha["class"] == "2Б"
    assert masha["name"].split()[1] == "Маша"
    assert masha["cards"] >= 0
    with reading(pages.engine) as conn:
        who = [row[0] for row in bulk.select(conn, "SELECT who FROM personal_read ORDER BY id DESC LIMIT 1")]
    assert who == ["desk desk-1"]
