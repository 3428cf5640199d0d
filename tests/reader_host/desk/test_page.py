"""The desk in a real browser, with virtual cards on the virtual reader of a real pcscd."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from protocols.card import application, tag
from protocols.card.application import CANTEEN, GATE
from protocols.card.credential import aliases, canonical
from reader_host.desk import keys as desk_keys
from reader_host.desk import store
from reader_host.desk.program import Desk
from reader_host.desk.seal import Seal
from reader_host.desk.store import Store
from reader_host.desk.work import Wish
from reader_host.pcsc import station
from tests.fixtures.components import wait_until
from tests.fixtures.pcsc import NAME, PlainCard, VirtualSlot
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_ntag import VirtualNtag
from tests.reader_host.desk.parts import TOKEN, UID, FakeCloud, Parts, keys_text
from tests.reader_host.desk.test_work import do

pytestmark = [pytest.mark.pcsc, pytest.mark.browser]

OTHER_UID = bytes.fromhex("04A1B2C3D4E5F6")


@pytest.fixture
def desk(slot: VirtualSlot, cloud: FakeCloud, tmp_path: Path) -> Iterator[Desk]:
    """A desk that runs on the first slot and on the cloud by the contract."""
    seal = Seal(tmp_path / "desk")
    keys = desk_keys.DeskKeys(keys_text(token=TOKEN))
    with Desk(tmp_path / "desk", keys, seal, cloud_url=cloud.url) as running:
        yield running


@pytest.fixture
def opened(desk: Desk, page: Page) -> Page:
    """The page of that desk, as wide as a desk's screen, with its pupils."""
    return shown(desk, page)


def shown(desk: Desk, page: Page) -> Page:
    wait_until(lambda: bool(desk.sender.roster().pupils), "the list of pupils")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(desk.address)
    return page


def listed(canonical: str, student: str, uid: str = "", **more: Any) -> dict[str, Any]:
    """A card as the cloud tells a desk of it."""
    keys = desk_keys.DeskKeys(keys_text())
    others = [keys.reference(each)[:16] for each in aliases(uid or canonical)]
    return {
        "ref": keys.reference(canonical)[:16], "student": student, "kind": "card", "blocked": False,
        "until": None, "at": 1_788_000_000, "key_version": int(bool(uid)),
        "bare": [keys.reference(uid)[:16]] if uid else [], "parts": others, **more,
    }  # fmt: skip


def says(page: Page, words: str) -> None:
    expect(page.locator("#card h2")).to_have_text(words, timeout=15_000)


def give(page: Page, words: str, kind: str = "Карта") -> None:
    """Find by a part of the name, choose, and press the button, as a person does."""
    page.locator("#search").fill(words)
    page.locator("#search").press("Enter")
    page.locator(".kinds").get_by_label(kind, exact=True).check()
    page.get_by_role("button", name="Выдать карту").click()


def proved(card: VirtualDesfire, role: int) -> str:
    """What a gate or a canteen takes it for: the same talk that their firmware holds."""
    masters = desk_keys.DeskKeys(keys_text()).masters
    reader = next(name for name in station.reader_names() if NAME in name)
    talk = tag if isinstance(card, VirtualNtag) else application
    with station.card_on(reader) as on_reader:
        return on_reader.hold(talk.identify(on_reader.uid, role, masters.of, secrets.token_bytes))


def accepted(cloud: FakeCloud, count: int) -> list[dict]:
    wait_until(lambda: len(cloud.accepted) >= count, "the cloud's acceptance")
    assert len(cloud.accepted) == count
    return list(cloud.accepted.values())


def test_card_is_given_inspected_replaced_and_wiped(opened: Page, slot: VirtualSlot, cloud: FakeCloud):
    says(opened, "Положите карту на считыватель")
    card = VirtualDesfire(UID, secrets.token_bytes)
    slot.lay(card)
    says(opened, "Новая карта")
    expect(opened.locator("#card .facts")).to_contain_text("MIFARE DESFire EV2")
    give(opened, "кот 2б")
    says(opened, "Котова Мария")
    (told,) = accepted(cloud, 1)
    assert (told["op"], told["student"], told["kind"], told["uid"]) == (
        "issue",
        "s1",
        "card",
        "a:04C767F2066180",
    )
    assert proved(card, GATE) == proved(card, CANTEEN) == told["credential"] == canonical(told["credential"])

    slot.pull()
    slot.lay(card)
    says(opened, "Котова Мария")
    expect(opened.locator("#card .facts")).to_contain_text("нет: доказывает себя ключом")
    slot.pull()

    # Lost: the button first, then the card.
    give(opened, "котова", "Вместо потерянной")
    expect(opened.locator(".wish")).to_contain_text("Котова Мария")
    other = VirtualNtag(OTHER_UID, secrets.token_bytes)
    slot.lay(other)
    says(opened, "Котова Мария")
    expect(opened.locator("#card")).to_contain_text("вместо потерянной")
    told = accepted(cloud, 2)[1]
    assert (told["op"], told["student"], told["credential"]) == ("replace", "s1", proved(other, GATE))
    slot.lay(card)
    says(opened, "Эта карта закрыта")

    # What came back is wiped, with a question first.
    opened.get_by_text("Стереть…").click()
    opened.get_by_role("button", name="Да, стереть").click()
    says(opened, "Карта стёрта")
    assert accepted(cloud, 3)[2]["op"] == "wipe"
    slot.pull()
    slot.lay(card)
    says(opened, "Стёртая карта")
    assert application.APPLICATION not in card.applications


@pytest.mark.parametrize("count", [20, 34, 43])
def test_card_pulled_in_the_middle_asks_for_it_back(
    opened: Page, slot: VirtualSlot, cloud: FakeCloud, count: int
):
    card = VirtualDesfire(UID, secrets.token_bytes)
    give(opened, "роман")
    slot.lay(card, apdus_left=count)
    says(opened, "Положите карту обратно, чтобы закончить")
    expect(opened.locator("#card")).to_contain_text("Давыдов Роман")
    assert cloud.received == []
    slot.lay(card)
    says(opened, "Давыдов Роман")
    assert accepted(cloud, 1)[0]["credential"] == proved(card, GATE)


def test_card_taken_after_its_last_byte_is_given(opened: Page, slot: VirtualSlot, cloud: FakeCloud):
    give(opened, "роман")
    slot.lay(VirtualDesfire(UID, secrets.token_bytes), apdus_left=47)
    says(opened, "Давыдов Роман")
    assert accepted(cloud, 1)[0]["student"] == "s4"


def test_cards_of_others_are_known_with_the_cloud_away(
    page: Page, slot: VirtualSlot, cloud: FakeCloud, memory: Path
):
    """Given by another desk, imported by a printed number, closed, and a copy of a protected card."""
    card, closed = VirtualDesfire(UID, secrets.token_bytes), VirtualNtag(OTHER_UID, secrets.token_bytes)
    parts = Parts(memory / "other", keys_text(), secrets.token_bytes)
    given = [parts.store.secret(do(parts, each, Wish("issue", "s1")).op_id) for each in (card, closed)]
    parts.store.close()
    cloud.cards = [
        listed(given[0].credential, "s1", given[0].uid),
        listed(given[1].credential, "s2", given[1].uid, blocked=True),
        listed("em:00A1B2C3D4", "s3"), listed("a:04A1B2C3", "s4", kind="fob"),
    ]  # fmt: skip
    keys = desk_keys.DeskKeys(keys_text(token=TOKEN))
    with Desk(memory / "desk", keys, Seal(memory / "desk"), cloud_url=cloud.url) as running:
        shown(running, page)
        cloud.stop()
        slot.lay(card)
        says(page, "Котова Мария")
        expect(page.locator("#card .facts")).to_contain_text("действует, по списку от")
        give(page, "яшин")
        says(page, "Эта карта занята")
        expect(page.locator("#card")).to_contain_text("Котова Мария")
        page.get_by_role("button", name="Отменить").click()
        for other, words in (
            (closed, "Эта карта закрыта"),
            (PlainCard(bytes.fromhex("04A1B2C3")), "Давыдов Роман"),
            (PlainCard(UID), "Копия карты"),
            (PlainCard(bytes.fromhex("A1B2C3D4")), "Возможно: Яшин Лев, 2 «Б»"),
        ):
            slot.lay(other)
            says(page, words)
        give(page, "котова")
        says(page, "Эту карту можно скопировать")
        page.get_by_role("button", name="Всё равно выдать").click()
        says(page, "Возможно, карта другого ученика")
        page.get_by_role("button", name="Всё равно выдать").click()
        says(page, "Котова Мария")
    assert cloud.received == []


def test_older_keys_are_renewed_in_place_though_the_card_was_pulled(
    opened: Page, slot: VirtualSlot, cloud: FakeCloud, desk: Desk
):
    card = VirtualDesfire(UID, secrets.token_bytes)
    slot.lay(card)
    give(opened, "котова")
    says(opened, "Котова Мария")
    before = accepted(cloud, 1)[0]
    expect(opened.get_by_role("button", name="Записать новые ключи")).to_have_count(0)
    # The administrator has rotated the gates' key and brought the new file.
    whole = json.loads(keys_text(token=TOKEN))
    whole["masters"].append({"role": GATE, "version": 2, "key": "22" * 16})
    keys = desk_keys.DeskKeys(json.dumps(whole))
    desk.bench._work._keys = keys
    slot.pull()
    slot.lay(card)
    expect(opened.locator("#card .facts")).to_contain_text("прежние", timeout=15_000)
    says(opened, "Котова Мария")
    slot.pull()
    slot.lay(card, apdus_left=60)
    expect(opened.locator("#card .facts")).to_contain_text("прежние", timeout=15_000)
    opened.get_by_role("button", name="Записать новые ключи").click()
    says(opened, "Положите карту обратно, чтобы закончить")
    assert len(cloud.received) == 1
    slot.lay(card)
    expect(opened.locator("#card")).to_contain_text("На карте новые ключи", timeout=15_000)
    says(opened, "Котова Мария")
    expect(opened.locator("#card .facts")).to_contain_text("новые")
    told = accepted(cloud, 2)[1]
    assert (told["op"], told["credential"], told["key_version"]) == ("renew", before["credential"], 2)
    reader = next(name for name in station.reader_names() if NAME in name)
    alone = {(GATE, 2): keys.masters.of(GATE, 2)}
    with station.card_on(reader) as lying:
        talk = application.identify(lying.uid, GATE, application.Masters(alone).of, secrets.token_bytes)
        assert lying.hold(talk) == before["credential"]


def test_lost_card_is_blocked_by_name(opened: Page, slot: VirtualSlot, cloud: FakeCloud):
    slot.lay(VirtualDesfire(UID, secrets.token_bytes))
    give(opened, "котова")
    says(opened, "Котова Мария")
    accepted(cloud, 1)
    cloud.stop()
    opened.get_by_role("link", name="Потеря").click()
    opened.locator("#search").fill("котова")
    opened.locator("#search").press("Enter")
    opened.get_by_role("button", name="Показать карты").click()
    lost = opened.locator("#lost")
    expect(lost.locator("h2")).to_have_text("Котова Мария")
    lost.get_by_text("Заблокировать…").click()
    lost.get_by_label("Когда карта ещё была на месте").select_option("yesterday")
    lost.get_by_role("button", name="Да, заблокировать карту").click()
    expect(lost).to_contain_text("Карта закроется, когда об этом узнает облако")
    expect(opened.locator("#bar")).to_contain_text("1 карта ждёт связи")
    assert len(cloud.received) == 1
    cloud.start()
    expect(lost).to_contain_text("Вход и столовая закроют её со следующей таблицей", timeout=40_000)
    told = accepted(cloud, 2)[1]
    assert (told["op"], told["student"], told["credential"]) == ("block", "s1", None)
    assert told["at"] - told["lost_at"] > 3600
    opened.get_by_role("link", name="Одна карта").click()
    slot.pull()
    slot.lay(VirtualNtag(OTHER_UID, secrets.token_bytes))
    says(opened, "Новая карта")


def test_reader_that_went_away_comes_back_by_itself(opened: Page, slot: VirtualSlot, cloud: FakeCloud):
    slot.lay(VirtualDesfire(UID, secrets.token_bytes))
    says(opened, "Новая карта")
    slot.restart_pcscd(lambda: says(opened, "Считыватель не подключён"))
    says(opened, "Положите карту на считыватель")
    # And so fast that nobody saw it go.
    slot.restart_pcscd(lambda: None)
    slot.lay(VirtualDesfire(UID, secrets.token_bytes))
    says(opened, "Новая карта")
    slot.pull()
    says(opened, "Положите карту на считыватель")
    slot.lay(VirtualDesfire(OTHER_UID, secrets.token_bytes))
    says(opened, "Новая карта")
    give(opened, "котова")
    says(opened, "Котова Мария")


def test_plain_card_needs_a_second_word_and_a_random_one_gets_none(
    opened: Page, slot: VirtualSlot, cloud: FakeCloud
):
    slot.lay(PlainCard(bytes.fromhex("04A1B2C3")))
    says(opened, "Обычная карта")
    give(opened, "яшин")
    says(opened, "Эту карту можно скопировать")
    expect(opened.locator("#card")).to_contain_text("дневной предел по ней низкий")
    opened.get_by_role("button", name="Всё равно выдать").click()
    says(opened, "Яшин Лев")
    (told,) = accepted(cloud, 1)
    assert (told["credential"], told["uid"]) == ("a:04A1B2C3", None)
    slot.lay(PlainCard(bytes.fromhex("08A1B2C3")))
    says(opened, "Эта карта меняет номер")
    give(opened, "иван")
    opened.wait_for_timeout(700)
    says(opened, "Эта карта меняет номер")
    assert len(cloud.accepted) == 1


def test_class_in_a_row(opened: Page, slot: VirtualSlot, cloud: FakeCloud):
    opened.get_by_role("link", name="Класс подряд").click()
    opened.get_by_label("Класс", exact=True).select_option("2Б")
    opened.get_by_role("button", name="Начать").click()
    turn = opened.locator("#row-name")
    expect(turn).to_have_text("Королёв Иван")
    cards = [VirtualDesfire(UID[:6] + bytes((place,)), secrets.token_bytes) for place in range(4)]
    slot.lay(cards[0])
    expect(turn).to_have_text("Котова Мария")
    slot.lay(cards[1])
    expect(turn).to_have_text("Яшин Лев")
    expect(opened.locator("progress")).to_have_attribute("value", "2")
    opened.get_by_role("button", name="Отменить последнюю").click()
    says(opened, "Карта стёрта")
    expect(turn).to_have_text("Котова Мария")
    opened.get_by_role("button", name="Пропустить").click()
    expect(turn).to_have_text("Яшин Лев")
    slot.lay(cards[1])
    expect(turn).to_have_text("Список пройден")
    told = accepted(cloud, 4)
    assert [(each["op"], each["student"]) for each in told] == [
        ("issue", "s2"), ("issue", "s1"), ("wipe", "s1"), ("issue", "s3"),
    ]  # fmt: skip
    # Who looks a card up on another page is not giving it away.
    opened.get_by_role("button", name="Вернуть").click()
    expect(turn).to_have_text("Котова Мария")
    opened.get_by_role("link", name="Одна карта").click()
    expect(opened.locator('[aria-current="page"]')).to_have_text("Одна карта")
    slot.lay(cards[2])
    says(opened, "Новая карта")
    assert len(cloud.received) == 4
    slot.pull()
    opened.get_by_role("link", name="Класс подряд").click()
    slot.lay(cards[2])
    expect(turn).to_have_text("Список пройден")
    assert accepted(cloud, 5)[4]["student"] == "s1"
    opened.get_by_role("link", name="Список для печати").click()
    rows = opened.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(2)).to_contain_text("Яшин Лев")


def test_desk_works_without_the_cloud_and_says_so(opened: Page, slot: VirtualSlot, cloud: FakeCloud):
    cloud.stop()
    slot.lay(VirtualDesfire(UID, secrets.token_bytes))
    give(opened, "котова")
    says(opened, "Котова Мария")
    expect(opened.locator("#bar")).to_contain_text("1 карта ждёт связи с ")
    opened.get_by_role("link", name="Очередь").click()
    expect(opened.locator("h1")).to_contain_text("1 карта ждёт связи")
    cloud.start()
    expect(opened.locator("h1")).to_have_text("Всё отправлено", timeout=20_000)
    assert len(cloud.accepted) == len(cloud.received) == 1


def test_refused_operation_says_why_and_what_to_do(
    opened: Page, desk: Desk, slot: VirtualSlot, cloud: FakeCloud, tmp_path: Path
):
    cloud.stop()
    slot.lay(VirtualDesfire(UID, secrets.token_bytes))
    give(opened, "котова")
    says(opened, "Котова Мария")
    queue = Store(tmp_path / "desk", Seal(tmp_path / "desk"))
    (ready,) = queue.in_state(store.READY)
    cloud.refusals[ready.op_id] = (103, "bad_id")
    cloud.start()
    opened.get_by_role("link", name="Не принята 1 карта").click(timeout=20_000)
    expect(opened.locator(".refused")).to_contain_text("Облако не приняло (bad_id)")
    opened.get_by_role("button", name="Отправить снова").click()
    expect(opened.locator(".refused")).to_have_count(0)
    (told,) = accepted(cloud, 1)
    # The cloud keeps its answer to an op_id, so a new try has a new one.
    assert told["op_id"] != ready.op_id
    assert told["student"] == "s1"
    queue.close()
