"""The desk's page without a browser: the door, what forms change, and that no secret stands on any page."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from reader_host.desk import bench as benches
from reader_host.desk import owners, store, work
from reader_host.desk.app import LOST, Parts, create_desk
from reader_host.desk.bench import Bench
from reader_host.desk.roster import Pupil, Roster
from reader_host.desk.sender import Cloud, Sender
from reader_host.desk.store import BLOCK, ISSUE, REPLACE, TEMPORARY, WIPE
from reader_host.desk.work import Wish
from reader_host.pcsc import kinds
from tests.fixtures.pcsc import PlainCard
from tests.reader_host.desk import parts as pieces
from tests.reader_host.desk.parts import NOW, PUPILS, TOKEN, UID, desfire, laid, ntag
from tests.reader_host.desk.test_work import do

PORT = 8123
HOST = f"127.0.0.1:{PORT}"
LAUNCH = "launch-token"
STEPS = (
    benches.NO_READER, benches.EMPTY, benches.WORKING, benches.SEEN, benches.DONE, benches.PUT_BACK,
    benches.REFUSED, benches.TROUBLE,
)  # fmt: skip
REASONS = (
    work.RANDOM, work.FOREIGN, work.TAKEN, work.HAS_IT, work.PLAIN, work.NO_KEYS, work.OTHER_CARD,
    work.UNFINISHED, work.NOTHING, work.CLOSED, work.COPY, work.PERHAPS,
    work.NEWER, work.NOT_OLD, work.NOBODYS,
)  # fmt: skip


class Page:
    """A desk whose reader's thread does not run: tests say what lies there."""

    def __init__(self, folder: Path) -> None:
        self.parts = pieces.Parts(folder)
        self.bench = Bench(self.parts.work, self.parts.store)
        cloud = Cloud("https://cloud.example", TOKEN)
        self.sender = Sender(cloud, self.parts.store, self.parts.seal, now=lambda: NOW, roster_days=7)
        self.sender._roster = Roster(tuple(Pupil(*each, 0) for each in PUPILS), NOW)
        self.app = create_desk(
            Parts(self.bench, self.parts.work, self.parts.store, self.sender, lambda: NOW, PORT, LAUNCH)
        )
        self.client: FlaskClient = self.app.test_client()

    def open(self) -> None:
        assert self.get(f"/?token={LAUNCH}").status_code == 200

    def get(self, path: str, host: str = HOST) -> TestResponse:
        return self.client.get(path, headers={"Host": host})

    def post(
        self, path: str, origin: str = f"http://{HOST}", host: str = HOST, **fields: str
    ) -> TestResponse:
        return self.client.post(path, data=fields, headers={"Host": host, "Origin": origin})

    def lay(self, card: Any, step: str = benches.SEEN, **more: Any) -> None:
        look = self.parts.work.look(laid(card))
        now = self.bench.situation()
        self.bench._now = now._replace(
            laid=now.laid + 1, version=now.version + 1, step=step, look=look, **more
        )


@pytest.fixture
def page(memory: Path) -> Page:
    return Page(memory)


def test_page_opens_by_the_launch_token_alone(page: Page):
    for path in ("/", "/row", "/waiting", "/live/one", "/list/2Б", "/?token=", "/?token=launch-tokem"):
        assert page.get(path).status_code == 403, path
        assert "Котова" not in page.get(path).text
    page.open()
    cookie = page.client.get_cookie(f"kk_desk_{PORT}", domain="127.0.0.1")
    assert cookie
    assert (cookie.http_only, cookie.same_site) == (True, "Strict")
    assert page.get("/").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", f"evil.example:{PORT}", f"127.0.0.1.:{PORT}"]
)
def test_other_host_is_refused(page: Page, host: str):
    page.open()
    assert page.get(f"/?token={LAUNCH}", host=host).status_code == 421


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1", f"https://{HOST}"])
@pytest.mark.parametrize("path", ["/give", "/wipe", "/drop", "/start", "/undo", "/send", "/language"])
def test_other_origin_changes_nothing(page: Page, origin: str, path: str):
    page.open()
    assert page.post(path, origin=origin, student="s1", kind="card").status_code == 403
    assert page.bench.situation().wish is None


def test_every_answer_has_the_headers_of_a_closed_page(page: Page):
    page.open()
    for path in ("/", "/row", "/waiting", "/live/row", "/nothing"):
        answer = page.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "<script>" not in answer.text
        assert " on" + "click=" not in answer.text


@pytest.mark.parametrize(
    ("choice", "until", "wish"),
    [
        ("card", "", Wish(ISSUE, "s1")),
        (LOST, "", Wish(REPLACE, "s1")),
        ("second", "", Wish(ISSUE, "s1", "second")),
        ("fob", "2026-01-01", Wish(ISSUE, "s1", "fob")),
        ("temporary", "2099-12-31", Wish(TEMPORARY, "s1", "temporary", "2099-12-31")),
    ],
)
def test_form_becomes_a_wish(page: Page, choice: str, until: str, wish: Wish):
    page.open()
    assert page.post("/give", student="s1", kind=choice, until=until).status_code == 303
    assert page.bench.situation().wish == wish


def test_form_that_lacks_something_says_what(page: Page):
    page.open()
    for fields, words in (
        ({"kind": "card"}, "Сначала выберите, кому выдать карту."),
        ({"student": "nobody", "kind": "card"}, "Сначала выберите, кому выдать карту."),
        ({"student": "s1", "kind": "temporary"}, "Укажите последний день"),
        ({"student": "s1", "kind": "temporary", "until": "2026-02-31"}, "Укажите последний день"),
        ({"student": "s1", "kind": "temporary", "until": str(date(2026, 9, 1) - timedelta(9))}, "Укажите"),
    ):
        answer = page.post("/give", **fields)
        assert answer.status_code == 422
        assert words in answer.text
    assert page.post("/give", student="s1", kind="gold").status_code == 400
    assert page.bench.situation().wish is None


def test_form_made_for_another_card_changes_nothing(page: Page):
    page.open()
    card = desfire()
    do(page.parts, card, Wish(ISSUE, "s1"))
    page.lay(card)
    old = str(page.bench.situation().laid)
    page.lay(card)
    assert page.post("/wipe", laid=old).status_code == 409
    assert page.post("/wipe").status_code == 409
    assert page.post("/give", student="s2", kind="card", laid=old).status_code == 409
    assert page.bench.situation().wish is None
    assert page.post("/wipe", laid=str(page.bench.situation().laid)).status_code == 303
    wish = page.bench.situation().wish
    assert wish is not None
    assert wish.op == WIPE
    assert wish.uid_ref


def test_lost_card_is_found_by_name_and_blocked_once(page: Page):
    page.open()
    card, fob = desfire(), PlainCard(bytes.fromhex("04A1B2C3"))
    given = do(page.parts, card, Wish(ISSUE, "s1"))
    do(page.parts, fob, Wish(ISSUE, "s1", "fob", plain_allowed=True))
    assert "Карта потеряна" in page.get("/lost").text
    assert page.post("/find", student="nobody").status_code == 422
    assert page.post("/find", student="s1").status_code == 303
    text = page.get("/lost").text
    assert text.count("Заблокировать…") == 2
    assert "Котова Мария" in page.get("/live/lost").text
    ref = given.card_ref[:16]
    for fields, status in (
        ({"student": "s1", "ref": ref, "since": "never"}, 400),
        ({"student": "s2", "ref": ref, "since": "now"}, 409),
        ({"student": "s1", "ref": "0" * 16, "since": "now"}, 409),
        ({"student": "s1", "since": "now"}, 409),
    ):
        assert page.post("/block", **fields).status_code == status
    assert page.parts.store.waiting()[0] == 2
    assert page.post("/block", student="s1", ref=ref, since="hour").status_code == 303
    # Pressed twice: it is closed already.
    assert page.post("/block", student="s1", ref=ref, since="hour").status_code == 409
    done = page.parts.store.in_state(store.READY)[-1]
    assert (done.op, done.student, done.card_ref, done.at, done.lost_at) == (
        BLOCK, "s1", ref, NOW, NOW - 3600,
    )  # fmt: skip
    text = page.get("/lost").text
    assert "Карта закроется, когда об этом узнает облако" in text
    assert text.count("Заблокировать…") == 1
    look = page.parts.work.look(laid(card))
    assert look.owner is not None
    assert (look.owner.state, look.owner.waits) == (owners.BLOCKED, True)
    assert "потеряна, заблокировать: карта" in page.get("/waiting").text
    # The cloud has it; then it has not, and the card is open.
    page.parts.store.set_state(done.op_id, store.ACCEPTED)
    assert "закроют её со следующей таблицей" in page.get("/lost").text
    page.parts.store.set_state(done.op_id, store.REFUSED, refusal=104)
    assert page.get("/lost").text.count("Заблокировать…") == 2


def test_lost_card_that_is_found_opens_for_its_pupil_again(page: Page):
    card = desfire()
    do(page.parts, card, Wish(ISSUE, "s1"))
    (owned,) = page.parts.work.held("s1")
    page.parts.work.block(owned, NOW)
    assert page.parts.work.held("s1") == []
    do(page.parts, card, Wish(ISSUE, "s1"))
    (owned,) = page.parts.work.held("s1")
    assert owned.state == owners.OPEN
    ops = [each.op for each in page.parts.store.in_state(store.READY)]
    assert ops == [ISSUE, BLOCK, ISSUE]


def test_same_state_is_not_sent_twice(page: Page):
    page.open()
    version = page.bench.situation().version
    assert page.get(f"/live/one?seen={version}").status_code == 204
    page.bench.show_again()
    assert page.get(f"/live/one?seen={version}").status_code == 200
    assert page.get("/live/nothing").status_code == 404


def test_no_key_number_or_token_stands_on_any_page(page: Page):
    """Every page in every state; a number of a card is as secret as a key: it makes a copy."""
    page.open()
    card, tag, plain = desfire(), ntag(bytes.fromhex("04A1B2C3D4E5F6")), PlainCard(bytes.fromhex("04A1B2C3"))
    given = [
        do(page.parts, card, Wish(ISSUE, "s1", place=0)),
        do(page.parts, tag, Wish(TEMPORARY, "s2", "temporary", "2099-12-31")),
        do(page.parts, plain, Wish(ISSUE, "s3", plain_allowed=True)),
    ]
    page.parts.store.start_row("2Б", ["s1", "s2", "s3"])
    hidden = {TOKEN, LAUNCH, UID.hex(), "c3" * 8, "5A00", "5A01"}
    for each in given:
        secret = page.parts.store.secret(each.op_id)
        # What devices hold of a reference names a card in a form; all of it stands nowhere.
        hidden |= {secret.credential, secret.uid, secret.identity, each.card_ref, each.uid_ref}
        hidden |= {secret.credential.rpartition(":")[2], secret.uid.rpartition(":")[2]}
    page.parts.store.set_state(given[0].op_id, store.REFUSED, refusal=103, reason="bad_id")
    hidden.discard("")
    page.post("/find", student="s2")
    texts = []
    for laid_card in (card, tag, plain):
        for step in STEPS:
            for reason in REASONS if step == benches.REFUSED else ("card_answer",):
                page.lay(laid_card, step, operation=given[1], reason=reason, wish=Wish(ISSUE, "s3"))
                texts += [page.get(f"/live/{view}").text for view in ("one", "row")]
    texts += [page.get(path).text for path in ("/", "/row", "/lost", "/waiting", "/list/2Б")]
    for text in texts:
        assert text
        for number in hidden:
            assert number.lower() not in text.lower(), number


def test_each_state_has_words(page: Page):
    page.open()
    seen = kinds.Seen(kinds.DESFIRE, "MIFARE DESFire EV2", "a:00", kinds.NEW, "")
    for state in (kinds.NEW, kinds.BEGUN, kinds.ISSUED, kinds.FOREIGN, kinds.RANDOM, kinds.PLAIN, work.WIPED):
        look = work.Look(seen._replace(state=state), "", state, None, None)
        page.bench._now = page.bench.situation()._replace(step=benches.SEEN, look=look)
        text = page.get("/live/one").text
        assert "<h2>" in text, state
    texts = set()
    for reason in REASONS:
        page.bench._now = page.bench.situation()._replace(step=benches.REFUSED, reason=reason)
        texts.add(page.get("/live/one").text.partition("<h2>")[2].partition("</section>")[0])
    assert len(texts) == len(REASONS)
