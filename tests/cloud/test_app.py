"""The web as a whole: hosts, origins, tokens, headers, languages, failures."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from cloud.app import create_app, serve_options
from cloud.config import Config, ConfigError
from cloud.db import begin
from tests.fixtures.pages import Pages


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "school.local:8080"])
def test_foreign_host_gets_nothing(pages: Pages, host: str) -> None:
    answer = pages.parent().client.get("/", headers={"Host": host})
    assert (answer.status_code, answer.text) == (421, "unknown host\n")


def test_loopback_host_gets_the_page(pages: Pages) -> None:
    assert pages.visitor().client.get("/sign-in", headers={"Host": "127.0.0.1:8080"}).status_code == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://localhost:9", "https://localhost"]
)
def test_foreign_origin_changes_nothing(pages: Pages, origin: str | None) -> None:
    visitor = pages.parent()
    visitor.get("/more")
    headers = {"Origin": origin} if origin else {}
    answer = visitor.client.post("/sign-out", data={"csrf_token": visitor.form_token}, headers=headers)
    assert answer.status_code == 403
    assert visitor.get("/").status_code == 200


def test_form_without_its_token_changes_nothing(pages: Pages) -> None:
    visitor = pages.parent()
    answer = visitor.client.post("/sign-out", headers={"Origin": "http://localhost"})
    assert answer.status_code == 400
    assert "Страница устарела" in answer.text
    assert visitor.get("/").status_code == 200


def test_token_of_another_visitor_does_not_fit(pages: Pages) -> None:
    mine, other = pages.parent(), pages.parent()
    other.get("/more")
    mine.get("/more")
    mine.form_token = other.form_token
    assert mine.post("/sign-out").status_code == 400


def test_policy_allows_no_inline_script(pages: Pages) -> None:
    answer = pages.parent().get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in answer.headers


def test_no_template_needs_what_the_policy_forbids() -> None:
    for path in Path("cloud").rglob("*.html"):
        found = re.findall(
            r"\sstyle=|\son[a-z]+=|javascript:|<style|<script(?![^>]*src=)", path.read_text("utf-8")
        )
        assert not found, path


def test_refused_and_failed_answers_have_the_headers_too(pages: Pages) -> None:
    for answer in (
        pages.visitor().get("/no"),
        pages.visitor().client.get("/", headers={"Host": "evil.example"}),
    ):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_cookies_are_out_of_reach_of_scripts_and_sites(pages: Pages) -> None:
    visitor = pages.visitor()
    visitor.ask_code()
    visitor.get("/sign-in/code")
    answer = visitor.post("/sign-in/code", code=pages.code())
    kept = [cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith("kk_parent=")]
    assert len(kept) == 1
    assert "HttpOnly" in kept[0]
    assert "SameSite=Lax" in kept[0]


def test_cookies_behind_tls_are_pinned_to_the_host(pages: Pages) -> None:
    outside = "https://card.school.example"
    config = Config(data_dir=pages.config.data_dir, web_url=outside)
    made = Pages(config, clock=pages.clock)
    visitor = made.visitor()
    client = visitor.client
    page = client.get("/sign-in", base_url=outside)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    answer = client.post(
        "/sign-in", data={"csrf_token": token[1], "phone": "+79120000001"}, base_url=outside,
        headers={"Origin": outside},
    )  # fmt: skip
    assert answer.status_code == 303
    cookies = page.headers.getlist("Set-Cookie") + answer.headers.getlist("Set-Cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-kk_form", "__Host-kk_browser"}
    assert all("Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie for cookie in cookies)
    assert page.headers["Strict-Transport-Security"]
    assert client.get("/demo/pupils", base_url=outside).status_code == 404
    made.engine.dispose()


def test_network_address_without_tls_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="web_url"):
        create_app(Config(data_dir=tmp_path, web_host="0.0.0.0"))
    with pytest.raises(ConfigError, match="https"):
        create_app(Config(data_dir=tmp_path, web_url="http://card.school.example"))


def test_server_believes_a_proxy_only_where_one_is_configured(tmp_path: Path) -> None:
    assert "trusted_proxy" not in serve_options(Config(data_dir=tmp_path))
    behind = serve_options(Config(data_dir=tmp_path, web_url="https://card.school.example"))
    assert behind["trusted_proxy"] == "127.0.0.1"


def test_language_is_chosen_and_kept(pages: Pages) -> None:
    visitor = pages.parent()
    assert '<html lang="ru">' in visitor.get("/more").text
    answer = visitor.post("/language", language="en", next="/more")
    assert answer.location == "/more"
    assert '<html lang="en">' in visitor.get("/").text
    assert '<html lang="ru">' in pages.parent(2).get("/").text


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_language_leads_to_no_other_site(pages: Pages, target: str) -> None:
    visitor = pages.parent()
    visitor.get("/more")
    assert visitor.post("/language", language="en", next=target).location == "/"


def test_unknown_language_changes_nothing(pages: Pages) -> None:
    visitor = pages.visitor("xx")
    assert '<html lang="ru">' in visitor.get("/sign-in").text
    visitor.post("/language", language="../../etc", next="/sign-in")
    assert '<html lang="ru">' in visitor.get("/sign-in").text


def test_broken_store_is_told_in_words(pages: Pages, caplog: pytest.LogCaptureFixture) -> None:
    visitor = pages.parent()
    with begin(pages.engine) as conn:
        conn.execute(text("ALTER TABLE posting RENAME TO gone"))
    answer = visitor.get("/money")
    assert answer.status_code == 503
    assert "Не сохранено, ничего не изменилось. Повторите" in answer.text
    assert "posting" not in answer.text
    assert "SELECT" not in caplog.text


def test_page_that_is_asked_wrongly_is_told_in_words(pages: Pages) -> None:
    visitor = pages.parent()
    visitor.get("/more")
    assert "Здесь так сделать нельзя" in visitor.post("/money").text
    assert visitor.post("/sign-in", phone="1" * 70_000).status_code == 413


def test_words_ugly_on_any_page_are_on_none(pages: Pages) -> None:
    for visitor in (pages.parent(), pages.parent(4), pages.staff()):
        for path in (
            "/",
            "/money",
            "/more",
            "/office/",
            "/office/devices",
            "/office/records",
            "/office/more",
        ):
            page = visitor.get(path).text
            assert not re.search(r"undefined|None|1970|ошибка|недостаточно", page.partition("<body")[2]), path
