"""The office's table of payouts, and how parents and the office read an entry that paid one."""

import re

import pytest

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import BANK, Entry
from cloud.archive import Archive
from cloud.payouts import service as payouts
from protocols.ids import hex8
from scripts import sample_school as sample
from tests.cloud.parents.test_today import words
from tests.fixtures.pages import Pages

WORDS = {
    "ru": ("Возврат на счёт", "Открыта 1 заявка", "Линия 1, на связи: отзываем", "Открытых заявок нет"),
    "en": ("Paid back", "1 request is open", "Line 1, online:", "No open requests"),
}


def ask(pages: Pages, amount: int) -> None:
    with db.begin(pages.engine) as conn:
        payouts.request(
            conn, Archive(pages.config.archive_dir), sample.SCHOOL, sample.MASHA, amount,
            key="З-17", reason="leaves", asked_by="office", now=pages.clock.now,
        )  # fmt: skip


def held(pages: Pages) -> int:
    with db.reading(pages.engine) as conn:
        return sum(accounting.balances(conn, sample.SCHOOL, [accounting.purse(sample.MASHA)]).values())


@pytest.mark.parametrize("language", WORDS)
def test_a_payout_is_no_purchase(pages: Pages, language: str) -> None:
    now = pages.clock.now
    lines = ((accounting.purse(sample.MASHA), -5_000), (BANK, 5_000))
    with db.begin(pages.engine) as conn:
        entry = accounting.post(
            conn, sample.SCHOOL, [Entry("payout:R1:1", "payout", now, lines, reason="R1")], now
        )[0].entry_id
    parent = pages.parent(language=language)
    page = words(parent.get(f"/money/{hex8(sample.MASHA)}").text)
    assert page.count(WORDS[language][0]) == 1
    record = words(parent.get(f"/money/{hex8(sample.MASHA)}/{entry}").text)
    assert WORDS[language][0] in record
    assert re.search("The money goes back|Деньги возвращаются", record)
    assert not re.search("The money came in|Деньги поступили|Purchase|Покупка", record)
    pupil = words(pages.staff(language).get(f"/office/pupils/{hex8(sample.MASHA)}?reason=other").text)
    assert WORDS[language][0] in pupil


@pytest.mark.parametrize(("language", "title"), [("ru", "Возвраты остановлены"), ("en", "Payouts are held")])
def test_page_says_that_payouts_are_held(pages: Pages, language: str, title: str) -> None:
    ask(pages, held(pages))
    archive = Archive(pages.config.archive_dir)
    with db.begin(pages.engine) as conn:
        payouts.hold(conn, archive, sample.SCHOOL, "a drill", pages.clock.now)
    staff = pages.staff(language)
    page = words(staff.get("/office/payouts").text)
    assert title in page
    assert WORDS[language][2] not in page
    with db.begin(pages.engine) as conn:
        payouts.release(conn, archive, sample.SCHOOL, who="clerk", reason="compared", now=pages.clock.now)
    assert title not in words(staff.get("/office/payouts").text)


@pytest.mark.parametrize("language", WORDS)
def test_open_payouts_name_the_device_that_is_waited_for(pages: Pages, language: str) -> None:
    staff = pages.staff(language)
    _paid, one_open, waits, none = WORDS[language]
    assert none in words(staff.get("/office/payouts").text)
    ask(pages, held(pages))
    page = words(staff.get("/office/payouts").text)
    assert one_open in page
    assert waits in page
    assert "З-17" in page
    assert "Маша" not in page
    assert "/office/payouts" in staff.get("/office/").text
