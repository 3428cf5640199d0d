"""The desk's way into the cloud: its token, operations that are taken once, the list of pupils."""

import json

import pytest

from cloud import bulk
from cloud.cards import service as cards
from cloud.db import begin, reading
from cloud.losses import service as losses
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
from tests.cloud.api.desks import BARE, OTHER_BARE, OTHER_PROOF, PROOF, Desk, short, student
from tests.fixtures.pages import Pages


def found(pages, text):
    with reading(pages.engine) as conn:
        return cards.find(conn, pages.site.vault, sample.SCHOOL, text)


def reports(pages, account=sample.MASHA):
    with reading(pages.engine) as conn:
        return losses.of_accounts(conn, sample.SCHOOL, [account])


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
        cards.block(conn, sample.SCHOOL, card.card_ref, [], who="office", now=1)
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


@pytest.mark.parametrize(
    ("op", "who", "why", "title"),
    [
        ("wipe", None, "wiped", "Карта очищена"),
        ("issue", sample.MASHA, "given", "Карта выдана заново"),
        ("issue", sample.SISTER, "given", "Карта выдана заново"),
    ],
)
def test_lost_card_in_the_hand_of_a_desk_is_looked_for_no_more(
    pages: Pages, desk: Desk, op: str, who: int | None, why: str, title: str
) -> None:
    desk.send(desk.make("issue", student(pages, sample.MASHA), "em:01026F6C3A", kind="fob"))
    fob = found(pages, "em:01026F6C3A")
    with begin(pages.engine) as conn:
        one, other = (
            losses.report(
                conn, pages.site.vault, pages.site.archive, sample.SCHOOL, sample.MASHA, card_ref,
                reporter=losses.PARENT, who="adult 1", lost_at=pages.clock.now, now=pages.clock.now,
            )
            for card_ref in (fob.card_ref, sample.card_ref(sample.MASHA))
        )  # fmt: skip
    if who == sample.SISTER:
        # As a card that was wiped, and whose wiping has not come yet.
        with begin(pages.engine) as conn:
            bulk.run(conn, "DELETE FROM card_alias WHERE card_ref = ?", (fob.card_ref,))
            bulk.run(conn, "DELETE FROM card WHERE card_ref = ?", (fob.card_ref,))
    pupil = student(pages, who) if who else ""
    assert desk.send(desk.make(op, pupil, "em:01026F6C3A")) == [("accepted", 0)]
    with begin(pages.engine) as conn:
        ended, untouched = (losses.lost(conn, sample.SCHOOL, each.number) for each in (one, other))
    assert ended is not None
    assert (ended.is_open, ended.end_reason, ended.ended_by) == (False, why, "desk desk-1")
    assert untouched == other
    assert title in pages.parent().get(f"/lost/{one.number}").text
    office = pages.staff()
    assert title.lower() in office.get(f"/office/lost/{one.number}").text
    assert title.lower() in office.get("/office/lost").text


def test_replacing_closes_the_lost_card_and_leaves_the_fob(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(
        desk.make("issue", masha, PROOF, uid=BARE), desk.make("issue", masha, "em:01026F6C3A", kind="fob")
    )
    assert desk.send(desk.make("replace", masha, OTHER_PROOF, uid=OTHER_BARE)) == [("accepted", 0)]
    states = {text: found(pages, text).status for text in (PROOF, OTHER_PROOF, "em:01026F6C3A")}
    assert states == {PROOF: "blocked", OTHER_PROOF: "active", "em:01026F6C3A": "active"}


def test_replaced_and_blocked_cards_are_reports_of_lost_ones(pages: Pages, desk: Desk) -> None:
    masha, now = student(pages, sample.MASHA), pages.clock.now
    with begin(pages.engine) as conn:
        for card in cards.of_account(conn, sample.SCHOOL, sample.MASHA):
            cards.block(conn, sample.SCHOOL, card.card_ref, [], who="office", now=1)
    fob = "em:01026F6C3A"
    desk.send(desk.make("issue", masha, PROOF, uid=BARE), desk.make("issue", masha, fob, kind="fob"))
    before = tables(pages)
    assert desk.send(desk.make("replace", masha, OTHER_PROOF, uid=OTHER_BARE)) == [("accepted", 0)]
    (one,) = reports(pages)
    assert one.card_ref == found(pages, PROOF).card_ref
    assert (one.reporter, one.who, one.is_blocked, one.is_open) == ("office", "desk desk-1", True, True)
    # One table told devices of both: the new card and the closed one.
    assert (tables(pages), one.table_version) == (before + 1, before + 1)
    # The family hears of it, as from any other report.
    with reading(pages.engine) as conn:
        told = bulk.select(conn, "SELECT event, happened_at FROM outbox WHERE event = 'card_blocked'")
    assert [tuple(row) for row in told] == [("card_blocked", now)]
    # By name, from the desk: said an hour ago, while the desk was offline; gone since the day before.
    blocked = desk.make(
        "block", masha, None, ref=short(pages, fob), kind=None, at=now - 3600, lost_at=now - 86400
    )
    assert desk.send(blocked, blocked) == [("accepted", 0)] * 2
    last = reports(pages)[0]
    assert (last.card_ref, last.reported_at, last.lost_at) == (
        found(pages, fob).card_ref,
        now - 3600,
        now - 86400,
    )
    assert len(reports(pages)) == 2
    # Once more, by another desk or the same: the report is the one that was made.
    assert desk.send(desk.make("block", masha, None, ref=short(pages, fob))) == [("accepted", 0)]
    assert len(reports(pages)) == 2


@pytest.mark.parametrize(("said", "counts"), [(-86400, 0), (3600, 3600), (20 * 86400, 14 * 86400)])
def test_desk_with_a_wrong_clock_moves_a_report_by_two_weeks_at_most(
    pages: Pages, desk: Desk, said: int, counts: int
) -> None:
    masha, now = student(pages, sample.MASHA), pages.clock.now
    desk.send(desk.make("issue", masha, PROOF, uid=BARE))
    desk.send(desk.make("block", masha, None, ref=short(pages, PROOF), at=now - said, lost_at=now - said))
    one = reports(pages)[0]
    assert (one.reported_at, one.lost_at) == (now - counts, now - counts)


def test_card_of_another_pupil_is_not_blocked_by_its_reference(pages: Pages, desk: Desk) -> None:
    masha, sister = student(pages, sample.MASHA), student(pages, sample.SISTER)
    desk.send(desk.make("issue", masha, PROOF, uid=BARE))
    told = desk.send(desk.make("block", sister, None, ref=short(pages, PROOF)))
    assert told == [("refused", CARD_UNKNOWN)]
    assert found(pages, PROOF).status == "active"
    assert reports(pages) == []


def test_card_in_somebodys_hand_opens_again(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(
        desk.make("issue", masha, PROOF, uid=BARE), desk.make("block", masha, None, ref=short(pages, PROOF))
    )
    assert found(pages, PROOF).status == "blocked"
    assert desk.send(desk.make("issue", masha, PROOF, uid=BARE)) == [("accepted", 0)]
    assert found(pages, PROOF).status == "active"


def test_renewed_keys_change_the_version_and_nothing_else(pages: Pages, desk: Desk) -> None:
    masha = student(pages, sample.MASHA)
    desk.send(desk.make("issue", masha, PROOF, uid=BARE, key_version=1))
    with begin(pages.engine) as conn:
        cards.block(conn, sample.SCHOOL, found(pages, PROOF).card_ref, [], who="office", now=1)
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
        ({"op": "block"}, FIELD_RANGE),
        ({"op": "block", "ref": "0" * 15}, FIELD_RANGE),
        ({"op": "block", "ref": "g" * 16}, FIELD_RANGE),
        ({"op": "block", "ref": "0" * 16}, CARD_UNKNOWN),
        ({"op": "block", "ref": "0" * 16, "student": "S-404"}, PUPIL_UNKNOWN),
        ({"op": "block", "ref": "0" * 16, "student": None}, FIELD_RANGE),
        ({"lost_at": -1}, FIELD_RANGE),
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
