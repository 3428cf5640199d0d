"""The office: its door, the day, the devices, the records, and that names leave a trace."""

import re
from typing import Any

import pytest
from sqlalchemy import select, text, update
from werkzeug.test import TestResponse

from cloud import bulk, db
from cloud.alarms import service as alarms
from cloud.codes import service as codes
from cloud.db import begin
from cloud.devices import service as devices
from protocols import errors
from protocols.ids import hex8
from protocols.ledger import record as records
from scripts import sample_school as sample
from tests.cloud.parents.test_today import gates_are_online, words
from tests.fixtures.pages import Pages, Visitor

PAGES = (
    "/office/", "/office/devices", "/office/devices/a1000001", "/office/reconciliation", "/office/records",
    "/office/records/a1000001", "/office/payouts", "/office/cards", "/office/more",
)  # fmt: skip
LUNCH = f"/office/records/{hex8(sample.LINE_1)}/1/6"


def link(pages: Pages) -> str:
    with begin(pages.engine) as conn:
        return codes.new_link(conn, pages.site.vault, sample.SCHOOL, pages.clock.now)


def search(visitor: Visitor, query: str, reason: str = "other") -> TestResponse:
    visitor.get("/office/")
    return visitor.post("/office/find", q=query, reason=reason)


def reads(pages: Pages) -> list[tuple[str, str, str]]:
    with pages.engine.connect() as conn:
        rows = conn.execute(select(db.personal_read).order_by(db.personal_read.c.id)).all()
    return [(row.who, row.what, row.reason) for row in rows]


def test_link_opens_the_office_by_its_button(pages: Pages) -> None:
    visitor, token = pages.visitor(), link(pages)
    assert "Войти в кабинет школы" in visitor.get(f"/office/enter?link={token}").text
    assert visitor.get("/office/").status_code == 302
    assert visitor.post("/office/enter", link=token).location == "/office/"
    assert visitor.get("/office/").status_code == 200


def test_link_works_once(pages: Pages) -> None:
    first, second, token = pages.visitor(), pages.visitor(), link(pages)
    first.get(f"/office/enter?link={token}")
    first.post("/office/enter", link=token)
    assert "klasskart cloud office-link" in second.get(f"/office/enter?link={token}").text
    assert second.post("/office/enter", link=token).status_code == 403
    assert second.get("/office/").status_code == 302


def test_old_or_forged_link_says_how_to_get_one(pages: Pages) -> None:
    visitor, token = pages.visitor(), link(pages)
    pages.clock.now += 600
    for tried in (token, "0000f015-forged", ""):
        assert "klasskart cloud office-link" in visitor.get(f"/office/enter?link={tried}").text
        assert visitor.post("/office/enter", link=tried).status_code == 403


@pytest.mark.parametrize("path", [*PAGES, LUNCH, "/office/find", "/office/pupils/01a0b1c2"])
def test_office_is_closed_to_others(pages: Pages, path: str) -> None:
    for visitor in (pages.visitor(), pages.parent()):
        answer = visitor.get(path)
        assert (answer.status_code, answer.location) == (302, "/office/enter")
    assert reads(pages) == []


def test_parents_session_is_no_staff_session(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.client.set_cookie("kk_staff", pages.token("parent", 1))
    assert visitor.get("/office/").status_code == 302


def test_staff_session_ends_when_idle(pages: Pages) -> None:
    visitor = pages.staff()
    pages.clock.now += 1799
    assert visitor.get("/office/").status_code == 200
    pages.clock.now += 1799
    assert visitor.get("/office/").status_code == 200
    pages.clock.now += 1800
    assert visitor.get("/office/").status_code == 302


def test_page_left_open_does_not_keep_the_office_open(pages: Pages) -> None:
    visitor = pages.staff()
    for _ in range(3):
        pages.clock.now += 590
        assert visitor.get("/office/", headers={"X-Renew": "1"}).status_code == 200
    pages.clock.now += 31
    assert visitor.get("/office/", headers={"X-Renew": "1"}).status_code == 302


def test_day_is_told_at_a_glance(pages: Pages) -> None:
    said = words(pages.staff().get("/office/").text)
    assert "Молчит 1 устройство Вход 2 без связи с 07:58." in said
    assert "Учёт сходится: сумма всех проводок 0,00 ₽" in said
    assert "Входы 3 1 выход" in said
    assert "Карта без прохода 1" in said
    assert "Продажи 3 220,00 ₽" in said
    assert "Отклонено 2" in said


def test_cards_that_look_the_same_are_one_alarm_and_a_list(pages: Pages) -> None:
    """Without names; whose card it is opens under a reason that is kept."""
    visitor = pages.staff()
    assert "Все карты различимы" in words(visitor.get("/office/cards").text)
    with begin(pages.engine) as conn:
        rows = conn.execute(select(db.card).order_by(db.card.c.card_ref).limit(2)).all()
        alike = [(sample.SCHOOL, ref, row.card_ref, 0, 1) for row in rows for ref in (b"w26", b"w34")]
        alike.append((sample.SCHOOL, rows[1].card_ref, rows[1].card_ref, 0, 1))
        bulk.insert_rows(conn, db.card_alias, alike)
        devices.publish_tables(conn, pages.site.vault, sample.SCHOOL, pages.clock.now)
    text = visitor.get("/office/devices").text
    assert 'href="/office/cards"' in text
    assert "Считыватель не различает некоторые карты 1 карта" in words(text)
    said = visitor.get("/office/cards").text
    assert "2 неразличимые карты" in words(said)
    assert "не сработает ни на одном считывателе" in words(said)
    address = f"/office/pupils/{hex8(rows[0].account_id)}?reason=same+number"
    assert address in said
    assert reads(pages) == []
    visitor.get(address)
    assert reads(pages) == [("office", f"pupil {hex8(rows[0].account_id)}", "same number")]
    assert "неразличимые карты" in visitor.get("/office/more").text


def test_calm_day_says_that_all_is_online(pages: Pages) -> None:
    gates_are_online(pages)
    with begin(pages.engine) as conn:
        conn.execute(update(db.device_refusal).values(last_at=sample.at(12, 0, days=-1)))
    said = words(pages.staff().get("/office/").text)
    assert "Все 4 устройства на связи Сегодня ни одно сообщение не отклонено." in said


def test_books_that_do_not_agree_are_the_first_thing_said(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        row = conn.execute(select(db.posting).limit(1)).one()
        conn.execute(db.posting.insert().values(dict(row._mapping) | {"line": 9, "amount_minor": 77}))
    said = words(pages.staff().get("/office/").text)
    assert "Учёт не сходится Сумма проводок 0,77 ₽" in said
    assert "Учёт сходится" not in said


def test_fleet_puts_problems_first_and_in_words(pages: Pages) -> None:
    said = words(pages.staff().get("/office/devices").text)
    assert "Вход 2 молчит с 07:58 4 версия 3 нет Линия 2 на связи" in said
    assert "печать не подходит: 2" in said


def test_messages_of_strangers_are_counted(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        conn.execute(
            db.device_refusal.insert().values(
                school_id=sample.SCHOOL, device_id=0, code=54, count=7, last_at=sample.NOW
            )
        )
    assert "Сообщения от неизвестных устройств Устройство неизвестно 7" in words(
        pages.staff().get("/office/devices").text
    )


def test_records_name_no_pupil(pages: Pages) -> None:
    visitor = pages.staff()
    for path in (*PAGES, LUNCH):
        page = visitor.get(path).text
        assert not re.search(r"Лебедев|Маша|Орлов|Артём", page), path
    assert reads(pages) == []


def test_records_lead_down_to_the_bytes_and_books(pages: Pages) -> None:
    visitor = pages.staff()
    page = visitor.get("/office/records").text
    assert f'href="{LUNCH}"' in page
    assert "08:21 Карта не принята: карта неизвестна Вход 1, запись 11" in words(page)
    said = words(visitor.get(LUNCH).text)
    assert "Обед, 96,00 ₽ Линия 1, запись 6 · сегодня, 11:42" in said
    assert "Деньги ученика на питание −96,00 ₽ Столовая +96,00 ₽" in said
    assert "Контрольная сумма: сходится" in said


def test_each_refusal_of_a_card_and_of_a_reader_has_its_words(pages: Pages) -> None:
    with pages.app.test_request_context():
        template = pages.app.jinja_env.get_template("office/_words.html")
        words_of: Any = vars(template.make_module({"_": str}))["refusal_words"]
        for code in (*range(errors.READER_DEAD, errors.READER_UNTRUSTED + 1),
                     *range(errors.REPEATED_TAP, errors.WEAK_LIMIT + 1)):  # fmt: skip
            assert "reason" not in words_of(code), code


def test_quarantine_and_recovery_are_said(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        held = update(db.device_epoch).where(db.device_epoch.c.device_id == sample.LINE_2)
        conn.execute(held.values(status="quarantined"))
        conn.execute(update(db.school).values(mode="recovery"))
    said = words(pages.staff().get("/office/devices").text)
    assert "Линия 2 заблокировано: есть две копии устройства" in said
    assert "База данных восстановлена Кассы продолжают продавать." in said


def test_older_records_of_a_device_can_be_reached(pages: Pages) -> None:
    visitor, path, seen = pages.staff(), f"/office/records/{hex8(sample.LINE_2)}", []
    while path:
        page = visitor.get(path).text
        seen += [int(number) for number in re.findall(r"/office/records/b1000002/1/(\d+)\"", page)]
        older = re.search(r'href="(/office/records/b1000002\?before=[\d.]+)"', page)
        path = older[1] if older else ""
    assert seen == list(range(90, 0, -1))


def test_name_behind_a_record_is_shown_and_logged(pages: Pages) -> None:
    visitor = pages.staff()
    said = words(visitor.get(f"{LUNCH}?reason=record").text)
    assert "Лебедева Маша" in said
    assert reads(pages) == [("office", f"pupil {hex8(sample.MASHA)}", "record")]
    assert "Имя одного ученика разбор записи" in words(visitor.get("/office/more").text)


def test_search_by_name_is_logged_with_its_reason(pages: Pages) -> None:
    visitor = pages.staff()
    said = words(search(visitor, "леб", "lost card").text)
    assert "2 ученика Лебедев Ваня, 7 «А» Лебедева Маша, 2 «Б»" in said
    assert reads(pages) == [("office", "pupils", "lost card")]


def test_search_with_an_invented_reason_is_still_logged(pages: Pages) -> None:
    search(pages.staff(), "леб", "<script>")
    assert reads(pages) == [("office", "pupils", "other")]


@pytest.mark.parametrize("query", ["line-1 6", "Линия 1, 6", "линия 1 №6", "LINE-1 #6"])
def test_search_by_device_and_number_opens_the_record(pages: Pages, query: str) -> None:
    answer = search(pages.staff(), query)
    assert answer.location == LUNCH
    assert reads(pages) == []


@pytest.mark.parametrize("query", ["Нетакого", "line-1 999", "л", "%", "line-9 6"])
def test_search_without_result_says_what_to_check(pages: Pages, query: str) -> None:
    page = search(pages.staff(), query)
    assert "Ничего не нашлось" in page.text


def test_pupils_page_leads_to_records(pages: Pages) -> None:
    visitor = pages.staff()
    page = visitor.get(f"/office/pupils/{hex8(sample.MASHA)}?reason=parent+asks").text
    assert "Лебедева Маша 2 «Б»" in words(page)
    assert "08:12 Вход в школу Вход 1" in words(page)
    links = re.findall(r'href="(/office/records/[0-9a-f]{8}/1/\d+)"', page)
    assert len(links) == 3
    assert all(visitor.get(path).status_code == 200 for path in links)


@pytest.mark.parametrize(
    "path",
    [
        "/office/records/zz",
        "/office/records/77777777",
        "/office/records/b1000001/1/999",
        "/office/pupils/77777777",
    ],
)
def test_what_is_not_there_is_not_found(pages: Pages, path: str) -> None:
    assert pages.staff().get(path).status_code == 404


def test_another_schools_office_sees_nothing_of_this_one(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        sample.SampleSchool(conn, 0x0000F016).found("Школа № 16")
        token = codes.new_link(conn, pages.site.vault, 0x0000F016, pages.clock.now)
    visitor = pages.visitor()
    visitor.get(f"/office/enter?link={token}")
    visitor.post("/office/enter", link=token)
    assert "Школа № 16" in visitor.get("/office/").text
    assert "Устройств пока нет" in visitor.get("/office/devices").text
    assert "Записей пока нет" in visitor.get("/office/records").text
    for path in (LUNCH, "/office/records/b1000001", f"/office/pupils/{hex8(sample.MASHA)}"):
        assert visitor.get(path).status_code == 404
    assert "Ничего не нашлось" in search(visitor, "леб").text


def test_record_that_came_late_says_so(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        school = sample.SampleSchool(conn)
        school.device(0xC1000001, "gate-3", "gate", online=True, seen_at=sample.NOW)
        school.record(0xC1000001, records.BOOT, 0, sample.at(8, 0), received_at=sample.NOW)
    assert "08:00 Устройство включилось Вход 3, запись 1 в облаке сегодня, 11:45" in words(
        pages.staff().get("/office/records").text
    )


def test_record_from_before_the_clock_was_set_names_no_1970(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        school = sample.SampleSchool(conn)
        school.device(0xC1000001, "gate-3", "gate", online=True, seen_at=sample.NOW)
        school.record(0xC1000001, records.BOOT, 0, 0, account=1, aux=2, received_at=sample.NOW - 60)
    visitor = pages.staff()
    for path in ("/office/records", "/office/records/c1000001", "/office/records/c1000001/1/1"):
        assert "1970" not in visitor.get(path).text
    assert "11:44 Устройство включилось Вход 3, запись 1 по часам облака" in words(
        visitor.get("/office/records").text
    )
    assert "Время: не знаем" in words(visitor.get("/office/records/c1000001/1/1").text)


def test_sign_out_closes_the_office(pages: Pages) -> None:
    visitor = pages.staff()
    visitor.get("/office/more")
    assert visitor.post("/office/sign-out").location == "/office/enter"
    assert visitor.get("/office/").status_code == 302


RECONCILIATION = "/office/reconciliation"


def test_day_that_agrees_says_so(pages: Pages) -> None:
    page = words(pages.staff().get(RECONCILIATION).text)
    assert "Сошлось: разница 0,00 ₽" in page
    assert "2 июня 2026" in page


def test_open_day_says_who_is_awaited(pages: Pages) -> None:
    page = words(pages.staff().get(f"{RECONCILIATION}?day=2026-09-01").text)
    assert "Пока сходится, день не закрыт" in page
    assert "Ждём: Вход 1, Вход 2, Линия 1, Линия 2." in page
    assert "ждём, связь была 07:58" in page
    assert "День позже" not in page


def test_difference_leads_to_the_record(pages: Pages) -> None:
    with begin(pages.engine) as conn:
        conn.execute(text("DROP TRIGGER record_no_update"))
        conn.execute(text(f"UPDATE record SET amount = 6300 WHERE device_id = {sample.LINE_2} AND seq = 85"))
    visitor = pages.staff()
    page = visitor.get(f"{RECONCILIATION}?day=2026-06-01").text
    assert "Разница 97,00 ₽" in words(page)
    link = f"/office/records/{hex8(sample.LINE_2)}/1/85"
    assert link in page
    assert visitor.get(link).status_code == 200


def test_bound_is_printed_in_words(pages: Pages) -> None:
    page = words(pages.staff().get(RECONCILIATION).text)
    assert "1 000,00 ₽" in page
    assert "потеря или копия: 842,00 ₽" in page
    assert "старое состояние: 1 000,00 ₽" in page


@pytest.mark.parametrize("day", ["2026-09-02", "yesterday", "1969-01-01", "2026-13-01"])
def test_day_that_cannot_be_is_no_page(pages: Pages, day: str) -> None:
    assert pages.staff().get(f"{RECONCILIATION}?day={day}").status_code == 404


def test_lock_command_and_alarm_are_said_in_words(pages: Pages) -> None:
    asked = devices.Asked("Петрова", "забыл карту")
    with begin(pages.engine) as conn:
        conn.execute(
            update(db.device).where(db.device.c.device_id == sample.GATE_1).values(state={"locked": 75})
        )
        devices.command(conn, sample.SCHOOL, "gate-1", "open", asked, sample.NOW, "out")
        devices.confirm_day(conn, sample.SCHOOL, "gate-1", asked, sample.NOW)
        detail = f"{hex8(sample.GATE_1)} record 7: wire_calendar"
        alarms.raise_alarm(conn, sample.SCHOOL, "clock_refused", detail, sample.NOW)
        devices.count_refusals(
            conn, {(sample.SCHOOL, sample.GATE_1, code): 1 for code in (62, 63, 76)}, sample.NOW
        )
    visitor = pages.staff()
    said = words(visitor.get("/office/devices").text)
    assert "заблокировано: работала старая копия устройства" in said
    assert "Устройство не приняло время" in said
    for reason in (
        "день вне школьного календаря",
        "перевод часов, который никто не подтвердил",
        "в день вне школьного календаря",
    ):
        assert f"{reason}: 1" in said
    said = words(visitor.get(f"/office/devices/{hex8(sample.GATE_1)}").text)
    assert "Карты не принимаются Заблокировано: работала старая копия устройства." in said
    assert "Открыть на выход: ждёт устройство Петрова: забыл карту" in said
    assert "День подтверждён: ждёт устройство" in said
    assert "Устройство не приняло время" in said
    assert "Открыть на выход" not in visitor.get(f"/office/devices/{hex8(sample.GATE_2)}").text
    assert visitor.get("/office/devices/00000001").status_code == 404
