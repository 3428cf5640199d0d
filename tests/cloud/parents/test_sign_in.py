"""The parents' door: one-time codes as a browser meets them."""

import re

from sqlalchemy import select

from cloud import db
from scripts import sample_school
from tests.fixtures.pages import Pages

UNKNOWN = "+79998887766"


def test_code_from_the_message_opens_today(pages: Pages) -> None:
    visitor = pages.visitor()
    assert visitor.ask_code("8 (912) 000-00-01").location == "/sign-in/code"
    answer = visitor.try_code(pages.code())
    assert (answer.status_code, answer.location) == (303, "/")
    assert "Маша" in visitor.get("/").text


def test_code_may_be_typed_with_gaps(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.ask_code()
    code = pages.code()
    assert visitor.try_code(f" {code[:3]} {code[3:]} ").status_code == 303


def test_wrong_code_says_how_many_tries_are_left(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.ask_code()
    wrong = "000000" if pages.code() != "000000" else "111111"
    said = [visitor.try_code(wrong).text for _ in range(5)]
    assert "Код не подошёл. Осталось 4 попытки" in said[0]
    assert "Код не подошёл. Осталась 1 попытка" in said[3]
    assert "Код не подошёл. Попросите новый" in said[4]
    assert visitor.try_code(pages.code()).status_code == 422


def test_wrong_code_in_english(pages: Pages) -> None:
    visitor = pages.visitor("en")
    visitor.ask_code()
    assert "No match. 4 tries left" in visitor.try_code("x").text


def test_unknown_phone_gets_the_same_answers(pages: Pages) -> None:
    known, unknown = pages.visitor(), pages.visitor()
    first, second = known.ask_code(), unknown.ask_code(UNKNOWN)
    assert (first.status_code, first.location, first.text) == (
        second.status_code,
        second.location,
        second.text,
    )
    assert sorted(first.headers.keys()) == sorted(second.headers.keys())
    pages_seen = [visitor.get("/sign-in/code").text for visitor in (known, unknown)]
    assert _plain(pages_seen[0]).replace("00\u00a001", "77\u00a066") == _plain(pages_seen[1])
    tried = [visitor.try_code("000001").text for visitor in (known, unknown)]
    assert _plain(tried[0]).replace("00\u00a001", "77\u00a066") == _plain(tried[1])
    assert len(pages.slept) == 2


def test_unknown_phone_leaves_the_same_rows_and_no_message(pages: Pages) -> None:
    pages.visitor().ask_code(UNKNOWN)
    with pages.engine.connect() as conn:
        assert len(conn.execute(select(db.login_code)).all()) == 1
        about = conn.execute(select(db.outbox).where(db.outbox.c.event == "login_code")).all()
    assert about == []


def test_answer_comes_at_one_fixed_moment(pages: Pages) -> None:
    pages.visitor().ask_code()
    pages.visitor().ask_code(UNKNOWN)
    assert all(0.1 < seconds <= 0.3 for seconds in pages.slept)


def test_code_does_not_work_in_another_browser(pages: Pages) -> None:
    asked, thief = pages.visitor(), pages.visitor()
    asked.ask_code()
    code = pages.code()
    answer = thief.ask_code()
    assert (answer.status_code, "Код только что отправлен" in answer.text) == (429, True)
    assert thief.try_code(code).location == "/sign-in"
    assert asked.try_code(code).status_code == 303


def test_second_code_waits_and_keeps_the_first(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.ask_code()
    code = pages.code()
    pages.clock.now += 20
    visitor.get("/sign-in/code")
    assert visitor.post("/sign-in", again="1").location == "/sign-in/code"
    assert 'data-wait="40"' in visitor.get("/sign-in/code").text
    assert visitor.try_code(code).status_code == 303


def test_old_code_says_what_to_do(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.ask_code()
    code = pages.code()
    pages.clock.now += 301
    assert "Срок кода вышел. Попросите новый" in visitor.try_code(code).text


def test_text_that_is_no_phone_stays_in_its_field(pages: Pages) -> None:
    visitor = pages.visitor()
    answer = visitor.ask_code("Маша <b>")
    assert answer.status_code == 422
    assert "Введите номер телефона" in answer.text
    assert 'value="Маша &lt;b&gt;"' in answer.text


def test_sixth_code_of_the_day_is_refused(pages: Pages) -> None:
    visitor = pages.visitor()
    for _ in range(5):
        assert visitor.ask_code().status_code == 303
        pages.clock.now += 61
    assert "Сегодня кодов для этого номера больше не будет" in visitor.ask_code().text


def test_address_that_asks_too_often_waits(pages: Pages) -> None:
    visitor = pages.visitor()
    answers = [visitor.ask_code(f"+7912555{number:04d}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [303] * 10 + [429]
    assert "Слишком часто" in answers[-1].text


def test_sign_in_gives_a_new_session_each_time(pages: Pages) -> None:
    tokens = []
    for _ in range(2):
        visitor = pages.visitor()
        visitor.client.set_cookie("kk_parent", "planted")
        visitor.ask_code()
        visitor.try_code(pages.code())
        kept = visitor.client.get_cookie("kk_parent")
        assert kept
        tokens.append(kept.decoded_value)
        pages.clock.now += 61
    assert len(set(tokens) | {"planted"}) == 3


def test_sign_out_ends_the_session_on_the_server(pages: Pages) -> None:
    visitor = pages.parent()
    cookie = visitor.client.get_cookie("kk_parent")
    visitor.get("/more")
    assert visitor.post("/sign-out").location == "/sign-in"
    assert cookie
    visitor.client.set_cookie("kk_parent", cookie.value)
    assert visitor.get("/").location == "/sign-in"


def test_other_browsers_can_be_signed_out(pages: Pages) -> None:
    mine, forgotten, stranger = pages.parent(), pages.parent(), pages.parent(2)
    assert mine.get("/more").text.count("Другой браузер") == 1
    mine.post("/sign-out-others")
    assert "Другой браузер" not in mine.get("/more").text
    assert forgotten.get("/").location == "/sign-in"
    assert stranger.get("/").status_code == 200


def test_code_and_phone_are_in_no_log_and_no_address(pages: Pages, caplog) -> None:
    visitor = pages.visitor()
    asked = visitor.ask_code()
    code = pages.code()
    entered = visitor.try_code(code)
    told = caplog.text + (asked.location or "") + (entered.location or "")
    assert code not in told
    assert sample_school.PHONE[2:] not in told


def test_spool_is_named_in_a_demo_only(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.ask_code()
    assert str(pages.config.spool_dir) in visitor.get("/sign-in/code").text
    pages.config.demo = False
    assert str(pages.config.spool_dir) not in visitor.get("/sign-in/code").text


def _plain(page: str) -> str:
    """A page without the token of its forms."""
    return re.sub(r'value="[^"]{40,}"', "", page)
