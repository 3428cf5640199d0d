"""Pages of lost cards: whose they are, what they change, and what a worried reader sees."""

import re

import pytest

from cloud import db
from cloud.db import begin
from cloud.devices import service as devices
from cloud.losses import service as losses
from protocols.ids import hex8
from protocols.ledger import record
from scripts import sample_lost
from scripts import sample_school as sample
from scripts.sample_school import card_ref
from tests.cloud.parents.test_today import words
from tests.fixtures.pages import Pages, Visitor

MASHA, ARTYOM = hex8(sample.MASHA), hex8(sample.ARTYOM)
CARD = card_ref(sample.MASHA).hex()
NOW = sample.NOW


def block(visitor: Visitor, account: str = MASHA, card: str = CARD, since: str = "now") -> str:
    """Block a card on the parents' page; where that leads."""
    visitor.get("/cards")
    answer = visitor.post(f"/cards/{account}/block", card=card, since=since)
    return answer.headers.get("Location", "") if answer.status_code == 303 else str(answer.status_code)


def applied(pages: Pages, device_id: int, version: int, when: int) -> None:
    """The device says in its journal that it works by this table."""
    with begin(pages.engine) as conn:
        sample_lost.apply_table(conn, device_id, version, when)


def report(pages: Pages, number: int = 1) -> losses.Lost:
    with db.reading(pages.engine) as conn:
        one = losses.lost(conn, sample.SCHOOL, number)
    assert one is not None
    return one


def buys(pages: Pages, when: int, amount_minor: int = 9600) -> int:
    """Line 1 sells to Masha's card and hands it over later."""
    with begin(pages.engine) as conn:
        return sample_lost.buy(conn, when, amount_minor)


def close_day(pages: Pages) -> None:
    pages.clock.now = sample.at(1, 0, days=1)
    with begin(pages.engine) as conn:
        school = sample_lost.resumed(conn, sample.LINE_1)
        school.record(sample.LINE_1, record.CLOSE_DAY, 0, sample.at(23, 59))
        school.settle({})


def test_parent_blocks_with_a_tap_and_a_confirmation(pages: Pages) -> None:
    parent = pages.parent()
    page = parent.get("/cards").text
    assert "Маша 2 «Б» Карта выдана" in words(page)
    assert block(parent) == "/lost/1"
    said = words(parent.get("/lost/1").text)
    assert "Карта закрывается о потере сообщили сегодня, 11:45" in said
    assert "Закрыта на 0 из 4 устройств" in said
    assert "Вход 2 ждём Без связи с 07:58. Здесь карта ещё может открыть проход." in said
    assert "После 11:45 картой, насколько известно, не пользовались" in said
    assert block(parent) == "/lost/1"
    assert "о потере сообщили сегодня, 11:45" in words(parent.get("/cards").text)
    texts = pages.deliver()
    assert texts[-1].endswith("Маша: карта закрывается, сообщили в 11:45\n")


def test_page_says_closed_only_after_the_device_has(pages: Pages) -> None:
    parent = pages.parent()
    block(parent)
    applied(pages, sample.GATE_1, report(pages).table_version, NOW + 20)
    said = words(parent.get("/lost/1").text)
    assert "Закрыта на 1 из 4 устройств" in said
    assert "Вход 1 закрыта с 11:45" in said
    for device_id in (sample.GATE_2, sample.LINE_1, sample.LINE_2):
        applied(pages, device_id, report(pages).table_version, NOW + 60)
    said = words(parent.get("/lost/1").text)
    assert "Карта закрыта о потере" in said
    assert "Закрыта на всех 4 устройствах" in said


@pytest.mark.parametrize(
    ("account", "card"),
    [
        (ARTYOM, card_ref(sample.ARTYOM).hex()),  # another family's child and card
        (MASHA, card_ref(sample.ARTYOM).hex()),  # the own child with another family's card
        (MASHA, ""),
        (MASHA, "no hex"),
        ("0badbad0", CARD),
        ("nonsense", CARD),
    ],
)
def test_card_of_another_family_does_not_exist(pages: Pages, account: str, card: str) -> None:
    assert block(pages.parent(), account, card) == "404"
    with db.reading(pages.engine) as conn:
        assert losses.latest(conn, sample.SCHOOL) == []
        assert conn.execute(db.card.select().where(db.card.c.status == "blocked")).all() == []


def test_report_of_another_family_does_not_exist(pages: Pages) -> None:
    block(pages.parent())
    stranger = pages.parent(2)
    stranger.get("/cards")
    for path in ("/lost/1", "/lost/2", f"/lost/{1 << 64}"):
        assert stranger.get(path).status_code == 404
        assert stranger.post(f"{path}/found").status_code == 404
    assert report(pages).is_open


def test_visitors_without_a_session_see_a_door(pages: Pages) -> None:
    block(pages.parent())
    for path in ("/cards", "/lost/1", "/office/lost", "/office/lost/1", "/office/lost/1/return"):
        assert pages.visitor().get(path).status_code == 302
    assert pages.parent().get("/office/lost/1").status_code == 302  # a parent is no staff
    assert pages.staff(who="Петрова").get("/lost/1").status_code == 302


def test_own_report_is_taken_back_for_ten_minutes(pages: Pages) -> None:
    parent = pages.parent()
    block(parent)
    page = parent.get("/lost/1").text
    assert "До 11:55 её можно открыть самостоятельно" in words(page)
    pages.clock.now += losses.UNDO_S
    assert "Карта нашлась" not in parent.get("/lost/1").text
    parent.post("/lost/1/found")
    assert report(pages).is_open
    pages.clock.now -= 1
    parent.get("/lost/1")
    parent.post("/lost/1/found")
    assert not report(pages).is_open
    assert "Карта снова открыта" in words(parent.get("/lost/1").text)


def test_contact_centre_blocks_with_name_and_reason(pages: Pages) -> None:
    staff = pages.staff(who="Иванова")
    page = staff.get(f"/office/pupils/{MASHA}?reason=lost+card").text
    assert "Закрыть эту карту" in page
    assert "потерянная карта, Иванова" in words(staff.get("/office/more").text)
    path = f"/office/pupils/{MASHA}/lost"
    for fields in ({"reporter": "contact_centre", "reason": " "}, {"reporter": "parent", "reason": "x"}):
        assert staff.post(path, card=CARD, since="hour", **fields).status_code == 422
    answer = staff.post(
        path, card=CARD, since="hour", reporter="contact_centre", reason="мать, номер договора"
    )
    assert answer.headers["Location"] == "/office/lost/1"
    one = report(pages)
    assert (one.reporter, one.who, one.reason, one.lost_at) == (
        "contact_centre", "Иванова", "мать, номер договора", NOW - 3600,
    )  # fmt: skip
    said = words(staff.get("/office/lost/1").text)
    assert "контакт-центр, Иванова Почему мать, номер договора" in said
    assert "Маша" not in said
    assert not one.may_undo(NOW)


def test_office_opens_a_found_card_with_a_reason(pages: Pages) -> None:
    block(pages.parent())
    staff = pages.staff(who="Петрова")
    staff.get("/office/lost/1")
    assert staff.post("/office/lost/1/found", reason="").status_code == 422
    assert staff.post("/office/lost/7/found", reason="x").status_code == 404
    assert staff.post("/office/lost/1/found", reason="принёс").status_code == 303
    one = report(pages)
    assert (one.is_open, one.ended_by, one.end_reason) == (False, "Петрова", "принёс")


def test_late_purchase_appears_and_is_taken_back(pages: Pages) -> None:
    parent, staff = pages.parent(), pages.staff(who="Петрова")
    block(parent)
    assert "нет" in words(staff.get("/office/lost").text)
    seq = buys(pages, NOW + 120)
    pages.clock.now += 1200
    said = words(parent.get("/lost/1").text)
    assert "Что делали картой после 11:45 11:47 Обед Линия 1 школа может вернуть 96,00 ₽" in said
    assert "1 ждёт решения" in words(staff.get("/office/lost").text)
    page = words(staff.get("/office/lost/1/return").text)
    assert "Обед Линия 1, сегодня, 11:47 платит школа 96,00 ₽" in page
    sale = f"{sample.LINE_1:08x}.1.{seq}"
    assert staff.post("/office/lost/1/return", sale=sale, reason="").status_code == 422
    assert staff.post("/office/lost/1/return", reason="x").status_code == 422
    assert staff.post("/office/lost/1/return", sale="zz.1.1", reason="x").status_code == 404
    stranger = f"{sample.LINE_2:08x}.1.1"
    assert staff.post("/office/lost/1/return", sale=[sale, stranger], reason="x").status_code == 422
    for _ in range(2):
        assert (
            staff.post("/office/lost/1/return", sale=sale, reason="линия была без связи").status_code == 303
        )
    assert "вернётся, когда линия закроет день" in words(parent.get("/lost/1").text)
    close_day(pages)
    assert [losses.drive(pages.engine, pages.clock.now) for _ in range(2)] == [1, 0]
    assert "возвращено сегодня, 01:00" in words(pages.parent().get("/lost/1").text)
    money = words(pages.parent().get(f"/money/{MASHA}").text)
    assert "Возврат: куплено потерянной картой +96,00 ₽" in money


def test_second_person_agrees_by_a_link_of_their_own(pages: Pages) -> None:
    block(pages.parent())
    seqs = [buys(pages, NOW + minute, 30_000) for minute in (1, 2)]
    pages.clock.now += 600
    first, second = pages.staff(who="Петрова"), pages.staff(who="Иванова")
    first.get("/office/lost/1/return")
    sales = [f"{sample.LINE_1:08x}.1.{seq}" for seq in seqs]
    first.post("/office/lost/1/return", sale=sales, reason="линия без связи")
    page = first.get("/office/lost/1").text
    assert "Ждёт второго человека: 600,00 ₽" in words(page)
    assert "Согласен(на)" not in page
    asked = re.search(r'name="request" value="([0-9a-f]{64})"', second.get("/office/lost/1").text)
    assert asked
    assert first.post("/office/lost/1/decide", request=asked[1], answer="yes").status_code == 422
    second.post("/office/lost/1/decide", request=asked[1], answer="yes")
    assert "Ждёт второго" not in words(second.get("/office/lost/1").text)
    with db.reading(pages.engine) as conn:
        assert {sale.state for sale in losses.sales_of(conn, sample.SCHOOL, 1).values()} == {"agreed"}


@pytest.mark.parametrize("kind", ["parent", "staff"])
def test_pages_are_whole_in_both_languages(pages: Pages, kind: str) -> None:
    block(pages.parent(), since="week")
    buys(pages, NOW + 60)
    pages.clock.now += 300
    parents = ["/cards", "/lost/1"]
    office = ["/office/lost", "/office/lost/1", "/office/lost/1/return"]
    for path in parents if kind == "parent" else office:
        visitor = pages.parent(language="en") if kind == "parent" else pages.staff("en", "Petrova")
        said = words(visitor.get(path).text)
        assert set(re.findall("[А-Яа-яЁё]{2,}", said)) <= {"Маша", "Ваня", "Школа"}, path
        visitor = pages.parent() if kind == "parent" else pages.staff(who="Петрова")
        said = words(visitor.get(path).text)
        assert re.findall("[A-Za-z]{2,}", said) == [], path


def test_tables_are_published_in_the_same_breath(pages: Pages) -> None:
    block(pages.parent())
    with db.reading(pages.engine) as conn:
        assert {row.table_wanted for row in devices.fleet(conn, sample.SCHOOL)} == {
            report(pages).table_version
        }
