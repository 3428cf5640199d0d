"""The panel's doors and its form: who is let in, what is taken, what is shown without a script."""

import re

import pytest

from scripts.play.panel.app import create_panel
from tests.scripts.play.panel import stand_model
from tests.scripts.play.panel.stand_model import PUPILS, TOKEN, StandModel, setting

PORT = 8151
HOST = f"127.0.0.1:{PORT}"
ORIGIN = {"Origin": f"http://{HOST}"}


@pytest.fixture
def stand():
    return StandModel()


@pytest.fixture
def client(stand):
    app = create_panel(setting(PORT), stand)
    app.config["SERVER_NAME"] = HOST  # what the test client calls itself at; the panel does not read it
    return app.test_client()


@pytest.fixture
def inside(client):
    assert client.get(f"/?token={TOKEN}").status_code == 200
    return client


def form(**changes):
    return {"who": PUPILS[0].key, "where": "line-1:-", "when": "now", "time": "", **changes}


def test_launch_token_opens_the_panel(client):
    answer = client.get(f"/?token={TOKEN}")
    assert answer.status_code == 200
    cookie = answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in cookie
    assert "HttpOnly" in cookie
    assert TOKEN not in cookie
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/taps/1", "/taps/1/columns"])
def test_no_token_no_panel(client, path):
    answer = client.get(path)
    assert answer.status_code == 403
    assert "Давыдов" not in answer.text
    assert "klasskart demo" in answer.text


@pytest.mark.parametrize("host", ["evil.example:8151", "127.0.0.1:8150", "127.0.0.1", "localhost.evil:8151"])
def test_foreign_host_is_refused(inside, host):
    assert inside.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("headers", [{}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:8150"}])
def test_foreign_origin_taps_nothing(inside, stand, headers):
    assert inside.post("/tap", data=form(), headers=headers).status_code == 403
    assert not stand.tapped


def test_every_page_forbids_inline_script(inside):
    answer = inside.get("/")
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", answer.text)


def test_tap_goes_to_the_stand(inside, stand):
    answer = inside.post("/tap", data=form(where="gate-1:out", stays="yes"), headers=ORIGIN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/taps/1")
    choice = stand.tapped[0]
    assert (choice.device, choice.reader, choice.walks) == ("gate-1", "out", False)
    assert choice.credential == PUPILS[0].credential


def test_goods_are_rung_up_for_a_line(inside, stand):
    answer = inside.post("/tap", data=form(**{"good-1": "2", "good-2": "1"}), headers=ORIGIN)
    page = inside.get(answer.headers["Location"]).text
    assert 'name="good-1" value="2"' in page
    assert "Завтрак" in page
    inside.post("/tap", data=form(**{"good-1": "0", "good-2": ""}), headers=ORIGIN)
    inside.post("/tap", data=form(where="gate-1:in", **{"good-1": "2"}), headers=ORIGIN)
    assert [choice.goods for choice in stand.tapped] == [((1, 2), (2, 1)), (), ()]


@pytest.mark.parametrize("quantity", ["10", "-1", "x", "1.5", "²"])
def test_quantity_that_is_none_taps_nothing(inside, stand, quantity):
    answer = inside.post("/tap", data=form(**{"good-1": quantity}), headers=ORIGIN)
    assert answer.status_code == 422
    assert "от 0 до 9" in answer.text
    assert stand.tapped == []


def test_unknown_card_is_a_choice(inside, stand):
    inside.post("/tap", data=form(who="unknown"), headers=ORIGIN)
    assert stand.tapped[0].credential == "a:FFFFFFFF"
    assert not stand.tapped[0].is_known


def test_chosen_time_runs_on(inside, stand):
    """The same chosen time twice is not the same second twice once real seconds have passed."""
    for _ in range(2):
        inside.post("/tap", data=form(when="at", time="12:10"), headers=ORIGIN)
    first, second = (choice.at for choice in stand.tapped)
    assert 0 <= second - first <= 60
    assert (first + 3 * 3600) % 86400 // 60 == 12 * 60 + 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"who": ""}, "Сначала выберите"),
        ({"who": "12345678"}, "Сначала выберите"),
        ({"where": "gate-9:in"}, "Выберите из списка"),
        ({"when": "at", "time": "25:99"}, "Укажите время"),
        ({"when": "at", "time": ""}, "Укажите время"),
    ],
)
def test_wrong_form_says_what_to_do(inside, stand, changes, words):
    answer = inside.post("/tap", data=form(**changes), headers=ORIGIN)
    assert answer.status_code == 422
    assert words in answer.text
    assert not stand.tapped


def test_form_keeps_its_choice(inside):
    inside.post("/tap", data=form(where="line-2:-"), headers=ORIGIN)
    page = inside.get("/taps/1").text
    assert re.search(r'value="line-2:-" checked', page)
    assert re.search(f'value="{PUPILS[0].key}" checked', page)


def test_page_reloads_itself_without_script(inside, stand):
    """Until the trail is over, and not longer."""
    inside.post("/tap", data=form(), headers=ORIGIN)
    assert 'http-equiv="refresh"' in inside.get("/taps/1").text
    stand_model.sale(stand.trails, 1)
    assert 'http-equiv="refresh"' not in inside.get("/taps/1").text


def test_unknown_trail_is_not_found(inside):
    assert inside.get("/taps/77").status_code == 404
    assert inside.get("/taps/77/columns").status_code == 404


def test_silent_cloud_is_said(inside, stand):
    stand.people = []
    assert "Облако ещё не ответило" in inside.get("/").text


def test_language_is_kept(inside):
    inside.post("/language", data={"language": "en", "next": "/"}, headers=ORIGIN)
    page = inside.get("/").text
    assert 'lang="en"' in page
    assert "Hold the card" in page


def test_only_shared_files_are_served(inside):
    for name in ("tokens.css", "local.css", "local.js"):
        with inside.get(f"/shared/{name}") as file:
            assert file.status_code == 200
    assert inside.get("/shared/..%2fapp.py").status_code == 404
    assert inside.get("/shared/pages.js").status_code == 404


def test_only_a_sale_can_be_taken_back(inside, stand):
    stand.story = stand_model.refusal
    inside.post("/tap", data=form(), headers=ORIGIN)
    assert "/taps/1/void" not in inside.get("/taps/1").text
    assert inside.post("/taps/1/void", headers=ORIGIN).status_code == 404
    assert inside.post("/taps/9/void", headers=ORIGIN).status_code == 404
    stand.story = stand_model.sale
    inside.post("/tap", data=form(), headers=ORIGIN)
    assert "/taps/2/void" in inside.get("/taps/2").text
    assert inside.post("/taps/2/void").status_code == 403
    stand.story = stand_model.void
    answer = inside.post("/taps/2/void", headers=ORIGIN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/taps/3")
    assert (stand.tapped[-1].device, stand.tapped[-1].undoes) == ("line-1", 7)
    page = inside.get("/taps/3").text
    assert "Продажа отменена" in page
    assert "/void" not in page
    stand.story = stand_model.kept
    inside.post("/taps/2/void", headers=ORIGIN)
    assert "уже отменили" in inside.get("/taps/4").text
