"""What a desk is told of pupils and cards: every card by its reference, nothing of another school."""

from cloud import bulk
from cloud.cards import book
from cloud.cards import service as cards
from cloud.db import begin, reading
from cloud.people import service as people
from protocols.card import credential
from scripts import sample_school as sample
from tests.cloud import schools
from tests.cloud.api.desks import BARE, OTHER_PROOF, PROOF, Desk, student
from tests.fixtures.pages import Pages


def roster(desk: Desk, tag: str = ""):
    headers = {**desk.headers, **({"If-None-Match": tag} if tag else {})}
    return desk.client.get("/api/desk/roster", headers=headers)


def _card_ref(pages: Pages) -> bytes:
    return cards.reference(pages.site.vault, sample.SCHOOL, PROOF)


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
        cards.block(conn, sample.SCHOOL, _card_ref(pages), [], who="office", now=1)
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
