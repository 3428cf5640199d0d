"""No byte that reaches the page tells of money: not in bodies, not in the stream, not in the page itself."""

from __future__ import annotations

import re
import time
from contextlib import closing

import pytest
from playwright.sync_api import Browser

from reader_host.till import line
from reader_host.till import menu as menus
from reader_host.till.board_line import event_of
from reader_host.till.till import Till
from tests.reader_host.till.parts import ACCOUNTS, CARDS, LUNCH, Canteen, menu_folder
from tests.reader_host.till.test_page import charge, opened, tile

WORDS = (
    "balance", "debt", "benefit", "refusal", "credit", "purse", "subsid", "paid", "rights", "amount_due",
    "баланс", "долг", "льгот", "средств", "остат", "кошел", "кредит", "оплач",
)  # fmt: skip
# What a purse, a debt, a limit or a right of these children would look like, however it is written.
SUMS = ("123400", "1234", "1 234", "1 234", "1,234", "19300", "193", "9700", "97,00", "RIGHTS_SHORT")
REFUSALS = re.compile(r"(?<![\d,.:])(2[0-9]|3[0-9]|1[0-9])(?![\d,.:])")
MOVING = (
    (re.compile(r'data-(version|revision|sounds)="\d+"'), r'data-\1=""'),
    (re.compile(r'name="(revision|seq)" value="\d+"'), r'name="\1"'),
    (re.compile(r"\d\d:\d\d"), "--:--"),
    (re.compile(r"Ждут отправки: \d+"), "Ждут отправки"),
)


def still(body: str) -> str:
    """A body without what differs from one second to the next."""
    for pattern, instead in MOVING:
        body = pattern.sub(instead, body)
    return body


def told(bodies: list[str]) -> list[str]:
    """What of money these bodies tell."""
    found = []
    for body in {still(each) for each in bodies}:
        low = body.lower()
        found += [word for word in WORDS if word in low]
        # Prices of the menu, and what the markup counts with.
        rest = re.sub(
            r"[\d ]+,\d\d ₽|\b\d+ (?:г|мл|шт\.)|viewbox=.*?>|<path.*?>|<circle.*?>|<rect.*?>", "", low
        )
        rest = re.sub(
            r'(place|line)-\d+|name="good" value="\d+"|data-key="f\d+"|ещё \d+|class="[^"]*"', "", rest
        )
        rest = re.sub(r"обед \d+–\d+ класс|utf-8|initial-scale=1", "", rest)
        found += [each for each in SUMS if each.lower() in rest]
        found += [str(code) for code in REFUSALS.findall(rest)]
        found += [each for each in CARDS.values() if each[2:].lower() in low]
        found += [f"{each:08x}" for each in ACCOUNTS.values() if f"{each:08x}" in low or str(each) in low]
    return found


def differing(of_children: dict[str, list[str]]) -> list[str]:
    """Children whose bodies differ from those of the first, in anything that stands still."""
    names = list(of_children)
    first = {still(each) for each in of_children[names[0]]}
    return [name for name in names[1:] if {still(each) for each in of_children[name]} != first]


@pytest.fixture(scope="module")
def heard(place: Canteen, chromium: Browser) -> dict[str, list[str]]:
    """All bytes of the sales of four children, by child: HTTP heads and bodies, and the page afterwards."""
    found: dict[str, list[str]] = {}
    bodies: list[str] = []
    monkey = pytest.MonkeyPatch()
    inner = place.program.app.wsgi_app

    def listening(environment, start):
        def begin(status, headers, *more):
            bodies.append("\n".join(f"{name}: {value}" for name, value in headers if name not in _HEADS))
            return start(status, headers, *more)

        with closing(inner(environment, begin)) as answer:
            parts = list(answer)
        bodies.append(b"".join(parts).decode("utf-8", "replace"))
        return parts

    monkey.setattr(place.program.app, "wsgi_app", listening)
    page = opened(chromium, place)
    # The first sale of a window wakes Repeat and Undo: that is nobody's.
    for name in ("other", "paid", "subsidised", "credit", "declined"):
        bodies.clear()
        serve(place, page, name, bodies)
        found[name] = list(bodies)
    page.context.close()
    monkey.undo()
    del found["other"]
    return found


_HEADS = ("Content-Length", "Date", "Content-Security-Policy", "Permissions-Policy")


def serve(place: Canteen, page, name: str, bodies: list[str]) -> None:
    tile(page, LUNCH)
    page.locator(f"#line-{LUNCH}").wait_for()
    charge(page)
    place.hold(name)
    page.locator(".over").wait_for()
    bodies.append(page.content())
    page.locator(".over").wait_for(state="detached") if name != "declined" else page.get_by_text(
        "Следующий"
    ).tap()
    page.locator(".rung-none").wait_for()
    page.wait_for_timeout(300)
    bodies.append(page.content())


def test_nothing_of_money_reaches_the_page(heard: dict[str, list[str]], place: Canteen):
    assert len(place.sales()) == 4
    for name, bodies in heard.items():
        assert len(bodies) > 6
        assert told(bodies) == [], name


def test_children_who_pay_in_different_ways_look_alike(heard: dict[str, list[str]]):
    served = {name: heard[name] for name in ("paid", "subsidised", "credit")}
    assert differing(served) == []
    assert differing({"paid": heard["paid"], "declined": heard["declined"]}) == ["declined"]


@pytest.mark.parametrize(
    "leak",
    [
        "<p>Остаток 1 234,00 ₽</p>", '<p data-refusal="24">', "<p>24</p>", '"kind": 24', "<b>по льготе</b>",
        "<!-- benefit -->", "a0000002", '<i data-purse="x">', "<p>1234</p>", "<p>Долг: 193,00</p>",
    ],
)  # fmt: skip
def test_a_leak_is_seen(heard: dict[str, list[str]], leak: str):
    assert told([*heard["paid"], heard["paid"][-1] + leak]) != []


@pytest.mark.parametrize("leak", ["<p>.</p>", " ", "<!-- b -->"])
def test_a_difference_is_seen(heard: dict[str, list[str]], leak: str):
    bodies = [each + leak if "over-served" in each else each for each in heard["subsidised"]]
    assert differing({"paid": heard["paid"], "subsidised": bodies}) == ["subsidised"]


def test_records_that_wait_are_counted_by_taps(tmp_path):
    """A first sale writes a grant and a sale, a later one a sale: the bar must not tell them apart."""
    seen = []
    for records in (1, 2):
        till = Till(menu_folder(tmp_path / str(records)), menus.read(menu_folder(tmp_path / str(records))))
        till.take(line.Status(False, 10, 10, 5))
        till.take(line.Verdict(line.SERVED, 9 + records, int(time.time())))
        till.take(line.Status(False, 10, 10 + records, 5))
        seen.append(till.look().health.unsent)
    assert seen == [1, 1]


def test_refusal_number_ends_at_the_line():
    verdicts = {
        event_of("verdict", {"kind": "ask", "refusal": str(code), "seq": "9", "time": "1"})
        for code in (22, 24, 25, 26, 30, 31, 32)
    }
    assert verdicts == {line.Verdict(line.TEACHER, 9, 1)}
    lasts = {
        event_of("last", {"seq": "9", "type": "9", "flags": "0", "time": "1", "refusal": str(code)})
        for code in (22, 24, 26)
    }
    assert len(lasts) == 1
