"""A till on its folder: what is on disk before the line hears of it, and what a stranger gets."""

import json

import pytest

from reader_host.till import line, serving
from reader_host.till import menu as menus
from reader_host.till.app import create_till
from reader_host.till.till import STATE_FILE, VOIDS_FILE, Till
from tests.reader_host.till.parts import menu_folder

NOW = 1_788_246_000
TOKEN = "token-of-a-test"


class Wire:
    """A line that keeps its orders, and what stood on disk when each came."""

    def __init__(self, folder):
        self.folder = folder
        self.orders = []

    def _order(self, *order):
        kept = json.loads((self.folder / STATE_FILE).read_text())
        self.orders.append((order, kept["under_way"]))

    def ring_up(self, lines):
        self._order("ring_up", lines)

    def take_back(self, seq):
        self._order("take_back", seq)

    def ask_last(self):
        self._order("ask_last")

    def ask_status(self):
        self._order("ask_status")


def begun(folder):
    till = Till(menu_folder(folder), menus.read(menu_folder(folder)), now=lambda: NOW, ticks_ms=lambda: 0)
    till.controller = Wire(folder)
    till.take(line.LineReady())
    return till


@pytest.fixture
def till(tmp_path):
    made = begun(tmp_path / "till")
    made.take(line.Last(line.NONE, 0, 0))
    return made


def charge(till, good=7):
    till.press(till.menu.good(good))
    assert till.do(lambda each: each.charge(each.revision))


def test_basket_is_on_disk_before_the_line_hears_of_it(till):
    charge(till)
    assert till.controller.orders[-1] == (("ring_up", ((7, 1),)), [[7, 1]])


def test_new_process_finds_the_sale_that_the_old_one_missed(till, tmp_path):
    charge(till)
    till.take(line.RungUp())
    again = begun(tmp_path / "till")
    assert not again.serving.may_charge
    again.take(line.Last(line.SALE, 5, NOW))
    assert (again.serving.result.kind, again.serving.last.lines) == (line.SERVED, ((7, 1),))
    third = begun(tmp_path / "till")
    third.take(line.Last(line.SALE, 5, NOW))
    assert (third.serving.result, third.serving.last.seq) == (None, 5)


def test_broken_state_is_put_aside(till, tmp_path):
    (tmp_path / "till" / STATE_FILE).write_text("{")
    assert begun(tmp_path / "till").serving.last is None


def test_reason_is_written_down(till, tmp_path):
    charge(till)
    till.take(line.RungUp())
    till.take(line.Verdict(line.SERVED, 5, NOW))
    till.do(lambda each: each.ask_reason(5, NOW))
    till.do(lambda each: each.undo(5, "child"))
    told = json.loads((tmp_path / "till" / VOIDS_FILE).read_text())
    assert told == {"time": NOW, "sale": 5, "reason": "child"}


@pytest.mark.parametrize("good", [20, 21])
def test_gone_and_unchecked_goods_are_not_rung_up(till, good):
    till.press(till.menu.good(good))
    assert till.serving.basket == {}


def test_portions_are_counted_down_and_come_back(till):
    bun = till.menu.good(22)
    charge(till, 22)
    till.take(line.RungUp())
    assert till.left(bun) == 17
    till.take(line.Verdict(line.SERVED, 5, NOW))
    assert till.left(bun) == 17
    till.do(lambda each: each.ask_reason(5, NOW))
    till.do(lambda each: each.undo(5, "dish"))
    till.take(line.Voided(5, 6))
    till.do(lambda each: each.clear())
    assert till.left(bun) == 18


def test_bar_says_since_when(till):
    till.take(line.Status(True, 1, 1, 5))
    assert (till.look().health.online_since, till.look().health.table_since) == (None, None)
    till.take(line.Status(False, 1, 1, 6))
    assert (till.look().health.online_since, till.look().health.table_since) == (NOW, NOW)


def test_silent_line_is_away(tmp_path):
    ticks = [0]
    till = Till(menu_folder(tmp_path), menus.read(menu_folder(tmp_path)), ticks_ms=lambda: ticks[0])
    till.controller = Wire(tmp_path)
    till.take(line.LineReady())
    assert not till.look().is_away
    seen = till.look().version
    ticks[0] = serving.SILENT_MS + 1
    assert till.look().is_away
    assert till.look().version != seen


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({"Host": "127.0.0.1:9"}, TOKEN, 200),
        ({"Host": "127.0.0.1:9"}, "", 403),
        ({"Host": "evil.example:9"}, TOKEN, 421),
    ],
)
def test_page_opens_by_its_address_alone(till, headers, token, status):
    client = create_till(till, "line-1", port=9, token=TOKEN).test_client()
    assert client.get(f"/?token={token}", headers=headers).status_code == status


def test_command_of_a_foreign_page_is_refused(till):
    client = create_till(till, "line-1", port=9, token=TOKEN).test_client()
    home, foreign = "http://127.0.0.1:9", "http://evil.example"
    client.get(f"/?token={TOKEN}", headers={"Host": "127.0.0.1:9"})
    for origin, status, basket in ((foreign, 403, {}), (home, 200, {7: 1})):
        headers = {"Host": "127.0.0.1:9", "Origin": origin}
        answer = client.post("/do/add", data={"good": "7", "part": "yes"}, headers=headers, base_url=home)
        assert (answer.status_code, till.serving.basket) == (status, basket)
