"""The ways through the pages in a real browser, with scripts and without."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from cloud import db
from cloud.db import begin
from scripts import sample_school as sample
from scripts.sample_school import SampleSchool
from tests.browser.surfer import MASHA, Surfer, office_link

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_way_from_the_phone_to_the_bytes(surfer: Surfer, scripts: bool) -> None:
    page = surfer.context("door", java_script_enabled=scripts).new_page()
    page.goto(surfer.address)
    page.get_by_label("Номер телефона").fill("8 912 000-00-01")
    page.get_by_role("button", name="Получить код").click()
    page.get_by_label("Код из сообщения").fill(surfer.pages.code())
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_role("heading", name="Сегодня")).to_be_visible()
    expect(page.get_by_text("В школе с 08:12")).to_be_visible()
    page.get_by_role("link", name="История: Маша").click()
    page.locator("summary").first.click()
    expect(page.get_by_text("Линия 1, запись 6")).to_be_visible()
    page.get_by_role("link", name="Вся запись").first.click()
    expect(page.get_by_text("Контрольная сумма: сходится")).to_be_visible()
    page.get_by_role("link", name="Ещё").click()
    page.get_by_role("button", name="Выйти", exact=True).click()
    expect(page.get_by_role("heading", name="Вход для родителей")).to_be_visible()
    page.goto(f"{surfer.address}/money/{MASHA}")
    expect(page.get_by_role("heading", name="Вход для родителей")).to_be_visible()


def test_wrong_code_keeps_the_reader_at_the_field(surfer: Surfer) -> None:
    page = surfer.context("door").new_page()
    page.goto(surfer.address)
    page.get_by_label("Номер телефона").fill("+79120000001")
    page.get_by_role("button", name="Получить код").click()
    code = surfer.pages.code()
    page.get_by_label("Код из сообщения").fill("000000" if code != "000000" else "111111")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Код не подошёл. Осталось 4 попытки")
    assert page.evaluate("document.activeElement.id") == "code"
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Сегодня")).to_be_visible()


def test_another_code_counts_down_and_stays_in_reach(surfer: Surfer) -> None:
    page = surfer.context("door").new_page()
    page.clock.install()
    page.goto(surfer.address)
    page.get_by_label("Номер телефона").fill("+79120000001")
    page.get_by_role("button", name="Получить код").click()
    button = page.locator("button[data-wait]")
    expect(button).to_have_text("Ещё раз через 60 с")
    button.click(force=True)
    expect(page.get_by_role("heading", name="Введите код")).to_be_visible()
    page.clock.run_for(60_000)
    expect(button).to_have_text("Отправить ещё раз")
    expect(button).to_have_attribute("aria-disabled", "false")


def test_language_switches_there_and_back(surfer: Surfer) -> None:
    page = surfer.context("parent").new_page()
    page.goto(f"{surfer.address}/more")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="More")).to_be_visible()
    page.get_by_role("link", name="Today").click()
    expect(page.get_by_text("In school since 08:12")).to_be_visible()
    expect(page.get_by_text("₽62.00")).to_be_visible()
    page.get_by_role("link", name="More").click()
    page.get_by_role("button", name="Русский").click()
    expect(page.get_by_role("heading", name="Ещё")).to_be_visible()


def test_today_renews_itself(surfer: Surfer) -> None:
    page = surfer.context("parent").new_page()
    page.clock.install()
    page.goto(surfer.address)
    page.get_by_role("link", name="История: Маша").focus()
    with begin(surfer.pages.engine) as conn:
        conn.execute(
            update(db.passage).where(db.passage.c.account_id == sample.MASHA).values(direction="out")
        )
    surfer.pages.clock.now += 60
    page.clock.run_for(16_000)
    expect(page.get_by_text("Выход из школы в 08:12")).to_be_visible()
    expect(page.get_by_text("обновлено 11:46")).to_be_visible()
    assert "История" in page.evaluate("document.activeElement.textContent")


def test_lost_connection_is_said_with_the_time(surfer: Surfer) -> None:
    context = surfer.context("parent")
    page = context.new_page()
    page.clock.install()
    page.goto(surfer.address)
    context.set_offline(True)
    page.clock.run_for(16_000)
    expect(page.get_by_text("данные на 11:45, нет связи")).to_be_visible()
    expect(page.get_by_text("обновлено 11:45")).to_be_hidden()
    context.set_offline(False)
    page.clock.run_for(16_000)
    expect(page.get_by_text("обновлено 11:45")).to_be_visible()


def test_session_that_ended_stops_renewing_quietly(surfer: Surfer) -> None:
    page = surfer.context("parent").new_page()
    page.clock.install()
    page.goto(surfer.address)
    with begin(surfer.pages.engine) as conn:
        conn.execute(update(db.session).values(revoked_at=1))
    page.clock.run_for(16_000)
    expect(page.get_by_text("данные на 11:45, нет связи")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Вход для родителей")).to_be_visible()


def test_office_opens_by_its_link(surfer: Surfer) -> None:
    page = surfer.context("door").new_page()
    page.goto(f"{surfer.address}/office/enter?link={office_link(surfer.pages)}")
    page.get_by_role("button", name="Войти в кабинет школы").click()
    expect(page.get_by_text("Учёт сходится")).to_be_visible()
    page.get_by_label("Ученик или устройство и запись").fill("Линия 1 6")
    page.get_by_role("button", name="Найти").click()
    expect(page.get_by_role("heading", name="Обед, 96,00")).to_be_visible()
    page.get_by_role("button", name="Показать имя").click()
    expect(page.get_by_text("Лебедева Маша")).to_be_visible()


def test_fleet_is_a_table_when_wide_and_a_list_when_narrow(surfer: Surfer) -> None:
    page = surfer.context("staff", viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{surfer.address}/office/devices")
    expect(page.get_by_role("columnheader", name="Связь")).to_be_visible()
    assert (
        page.locator(".sheet td").first.evaluate("(node) => getComputedStyle(node).display") == "table-cell"
    )
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.locator(".sheet td").first.evaluate("(node) => getComputedStyle(node).display") == "flex"


def test_four_children_have_a_card_each(surfer: Surfer) -> None:
    with begin(surfer.pages.engine) as conn:
        school = SampleSchool(conn)
        school._next_person = 900
        for number in range(4):
            school.pupil(0x70000000 + number, "Одинцова", f"Ася{number}", 1, adults=(4,))
    page = surfer.context("parent", adult_id=4).new_page()
    page.goto(surfer.address)
    assert page.locator("article").count() == 4
    page.goto(f"{surfer.address}/money")
    assert page.get_by_role("navigation", name="Дети").get_by_role("link").count() == 4


def test_search_that_is_being_typed_survives_a_renewal(surfer: Surfer) -> None:
    page = surfer.context("staff").new_page()
    page.clock.install()
    page.goto(f"{surfer.address}/office/")
    page.get_by_label("Ученик или устройство и запись").fill("Лебед")
    with begin(surfer.pages.engine) as conn:
        conn.execute(update(db.device).values(online=1))
    page.clock.run_for(16_000)
    expect(page.get_by_text("Сегодня часть сообщений отклонена")).to_be_visible()
    expect(page.get_by_label("Ученик или устройство и запись")).to_have_value("Лебед")
