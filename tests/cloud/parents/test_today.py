"""Today and money: what a parent reads, and that it is their own child's."""

import re

import pytest
from sqlalchemy import select, update

from cloud import db
from cloud.db import begin
from protocols.ids import hex8
from scripts import sample_school as sample
from scripts.sample_school import SampleSchool
from tests.fixtures.pages import Pages, Visitor


def words(page: str) -> str:
    """What a reader sees, in one line."""
    body = page.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body.replace("&nbsp;", " "))).strip()


def entry_of(pages: Pages, account_id: int, kind: str = "sale") -> int:
    """The newest entry that touches a purse."""
    with pages.engine.connect() as conn:
        return conn.execute(
            select(db.entry.c.entry_id)
            .join(db.posting, db.posting.c.entry_id == db.entry.c.entry_id)
            .join(db.ledger_account, db.ledger_account.c.ledger_account_id == db.posting.c.ledger_account_id)
            .where(db.ledger_account.c.code == f"purse:{hex8(account_id)}", db.entry.c.kind == kind)
            .order_by(db.entry.c.entry_id.desc())
            .limit(1)
        ).scalar_one()


def gates_are_online(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        conn.execute(update(db.device).values(online=1))


def test_today_tells_the_mornings_events(pages: Pages) -> None:
    said = words(pages.parent().get("/").text)
    assert "вторник, 1 сентября · обновлено 11:45" in said
    assert "Маша 2 «Б» В школе с 08:12 Вход 1" in said
    assert "08:12 Вход в школу Вход 1 09:35 Завтрак Линия 1 62,00 ₽ 11:42 Обед Линия 1 96,00 ₽" in said
    assert "432,50 ₽ на питание" in said


def test_today_in_english(pages: Pages) -> None:
    said = words(pages.parent(language="en").get("/").text)
    assert "Tuesday, 1 September · updated 11:45" in said
    assert "In school since 08:12 Gate 1" in said
    assert "09:35 Breakfast Line 1 ₽62.00" in said


def test_silent_gate_makes_it_unknown_and_not_absent(pages: Pages) -> None:
    said = words(pages.parent().get("/").text)
    assert (
        "Ваня 7 «А» Пока не знаем Вход 2 без связи с 07:58. Это не значит, что ребёнка нет в школе." in said
    )


def test_silent_gate_is_told_to_those_inside_too(pages: Pages) -> None:
    assert "Вход 2 без связи с 07:58. Что было там, появится позже." in words(pages.parent(2).get("/").text)


def test_no_entry_while_all_gates_are_online(pages: Pages) -> None:
    gates_are_online(pages)
    said = words(pages.parent().get("/").text)
    assert "Ваня 7 «А» Отметки о входе пока нет Все входы на связи." in said
    assert "без связи" not in said


def test_leaving_is_told_without_a_gender(pages: Pages) -> None:
    said = words(pages.parent(2).get("/").text)
    assert "Артём 10 «В» Выход из школы в 11:05" in said
    assert not re.search(r"уш[её]л|пришла?\b|вышла?\b", said)


def test_tap_without_passage_is_told_as_such(pages: Pages) -> None:
    assert "07:48 Карта приложена, прохода не было Вход 1" in words(pages.parent(3).get("/").text)


def test_yesterday_is_not_today(pages: Pages) -> None:
    pages.clock.now += 86_400
    said = words(pages.parent().get("/").text)
    assert "08:12" not in said
    assert "Завтрак" not in said


def test_adult_without_children_is_told_what_to_do(pages: Pages) -> None:
    for path in ("/", "/money"):
        assert "Детей здесь пока нет" in words(pages.parent(4).get(path).text)


def test_money_has_days_reasons_and_amounts(pages: Pages) -> None:
    said = words(pages.parent().get(f"/money/{hex8(sample.MASHA)}").text)
    assert "432,50 ₽ на питание · Маша, 2 «Б»" in said
    assert "сегодня 11:42 Обед −96,00 ₽ Линия 1, запись 6" in said
    assert "вчера 18:05 Пополнение +590,50 ₽" in said


def test_older_pages_lead_to_the_first_line(pages: Pages) -> None:
    visitor, path, seen = pages.parent(2), "/money", []
    while path:
        page = visitor.get(path).text
        seen += re.findall(r"/money/[0-9a-f]{8}/(\d+)\"", page)
        older = re.search(r'href="(/money/[0-9a-f]{8}\?before=\d+)"', page)
        path = older[1] if older else ""
    assert len(seen) == len(set(seen)) == 61
    assert "К самым новым" in page


def test_child_without_purchases(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        school = SampleSchool(conn)
        school._next_person = 900
        school.pupil(0x77777777, "Одинцова", "Ася", 1, adults=(4,))
    said = words(pages.parent(4).get("/money").text)
    assert "0,00 ₽" in said
    assert "Покупок пока нет" in said


def test_line_opens_down_to_the_bytes_of_the_device(pages: Pages) -> None:
    number = entry_of(pages, sample.MASHA)
    said = words(pages.parent().get(f"/money/{hex8(sample.MASHA)}/{number}").text)
    assert "−96,00 ₽ Обед · сегодня, 11:42 · Маша" in said
    assert "11:42:00 Карта приложена, запись сделана Линия 1, запись 6" in said
    assert "11:42:02 Запись дошла до облака школы" in said
    assert "Деньги на питание: Маша −96,00 ₽ Столовая +96,00 ₽" in said
    with pages.engine.connect() as conn:
        raw = conn.execute(
            select(db.record.c.raw).where(db.record.c.device_id == sample.LINE_1, db.record.c.seq == 6)
        ).scalar_one()
    assert bytes(raw).hex() in said.replace(" ", "")
    assert "Контрольная сумма: сходится" in said


def test_top_up_opens_without_a_device(pages: Pages) -> None:
    number = entry_of(pages, sample.MASHA, "topup")
    said = words(pages.parent().get(f"/money/{hex8(sample.MASHA)}/{number}").text)
    assert "+590,50 ₽ Пополнение · вчера, 18:05" in said
    assert "Банк −590,50 ₽" in said
    assert "Запись устройства" not in said


FOREIGN = (sample.ARTYOM, sample.LONG_NAME, 0x0BADBAD0)


@pytest.mark.parametrize("account_id", FOREIGN)
def test_money_of_another_family_does_not_exist(pages: Pages, account_id: int) -> None:
    visitor = pages.parent()
    assert visitor.get(f"/money/{hex8(account_id)}").status_code == 404
    assert visitor.get(f"/money/{hex8(account_id)}?before=9").status_code == 404


def test_no_foreign_entry_opens_by_any_number(pages: Pages) -> None:
    visitor = pages.parent()
    with pages.engine.connect() as conn:
        numbers = conn.execute(select(db.entry.c.entry_id)).scalars().all()
    mine = {entry_of(pages, sample.MASHA), entry_of(pages, sample.MASHA, "topup")}
    opened = {
        number
        for number in numbers
        if visitor.get(f"/money/{hex8(sample.MASHA)}/{number}").status_code == 200
    }
    assert mine <= opened
    for number in opened:
        assert "Маша" in visitor.get(f"/money/{hex8(sample.MASHA)}/{number}").text
    assert len(opened) == 3
    for account_id in FOREIGN:
        for number in numbers:
            assert visitor.get(f"/money/{hex8(account_id)}/{number}").status_code == 404


def test_same_number_in_another_school_is_another_child(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        school = SampleSchool(conn, 0x0000F016)
        school.found("Школа № 16")
        school.adult(1001, "Чужая", "Анна", "+79120000009")
        school.pupil(0x66666666, "Чужой", "Борис", 1, adults=(1001,))
    assert pages.parent().get(f"/money/{hex8(0x66666666)}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/money/xyz",
        "/money/01A0B1C2",
        "/money/01a0b1c2/99999999",
        "/money/01a0b1c2/-1",
        "/money/01a0b1c2/x",
        "/no",
    ],
)
def test_nonsense_addresses_are_pages_that_do_not_exist(pages: Pages, path: str) -> None:
    answer = pages.parent().get(path)
    assert answer.status_code == 404
    assert "Такой страницы нет" in answer.text


@pytest.mark.parametrize("path", ["/", "/money", "/money/01a0b1c2", "/money/01a0b1c2/1", "/more"])
def test_nothing_is_shown_without_a_session(pages: Pages, path: str) -> None:
    for visitor in (pages.visitor(), pages.staff()):
        answer = visitor.get(path)
        assert (answer.status_code, answer.location) == (302, "/sign-in")


def test_hostile_names_stay_text(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        conn.execute(update(db.person).where(db.person.c.first_name == "Маша").values(first_name="<script>x"))
    page = pages.parent().get("/").text
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_only_the_tabs_that_exist_are_linked(pages: Pages) -> None:
    visitor: Visitor = pages.parent()
    links = set(re.findall(r'<a [^>]*href="(/[^"]*)"', visitor.get("/").text))
    assert {"/", "/money", "/more"} <= links
    assert all(visitor.get(link).status_code == 200 for link in links)
