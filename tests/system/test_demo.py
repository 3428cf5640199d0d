"""The demo as a person runs it: addresses that work, data that stays, nothing left behind at any end."""

import contextlib
import os
import re
import signal
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.system.plays import PROCESSES, SCHOOL_1, is_running, kill

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture
def demo(klasskart):
    """A demo that has printed its addresses."""
    command = klasskart("--school", SCHOOL_1)
    command.until(lambda: "Ctrl-C" in command.complaints(), "its addresses")
    return command


def address(command, name):
    """An address from the table on the terminal."""
    return re.search(rf"^{re.escape(name)}\s+(\S+)", command.complaints(), re.MULTILINE)[1]


def fetch(url, data=None, headers=None):
    """Status and text of a page."""
    body = urllib.parse.urlencode(data).encode() if data else None
    request = urllib.request.Request(url, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def school_numbers(command):
    """What makes a school the same school: its number and its pupils'."""
    with contextlib.closing(sqlite3.connect(f"file:{command.data / 'cloud.db'}?mode=ro", uri=True)) as store:
        return store.execute("SELECT school_id, account_id FROM pupil ORDER BY account_id").fetchall()


def stop(command, number=signal.SIGINT):
    """End it as a person does; its exit code."""
    os.kill(command.process.pid, number)
    return command.wait()


def test_addresses_answer(demo):
    assert fetch(address(demo, "Parents' page"))[0] == 200
    assert fetch(address(demo, "Office, for ten minutes"))[0] == 200
    status, panel = fetch(address(demo, "Tap panel"))
    assert status == 200
    assert "Приложить карту" in panel
    assert fetch(address(demo, "Tap panel").split("?")[0])[0] == 403
    assert re.search(r"sign in with\s+\+7\d{10}", demo.complaints())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_end_leaves_no_process(demo, number):
    """Ctrl-C, SIGTERM, and an end that the demo does not notice."""
    pids = demo.pids()
    assert set(pids) == set(PROCESSES)
    code = stop(demo, number)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    deadline = time.monotonic() + 20
    while any(map(is_running, pids.values())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [name for name, pid in pids.items() if is_running(pid)] == []


def test_second_start_keeps_the_data(demo, klasskart):
    before = school_numbers(demo)
    assert stop(demo) == 0
    again = klasskart("--school", SCHOOL_1, "--data", demo.data)
    again.data = demo.data
    again.until(lambda: "Ctrl-C" in again.complaints(), "its addresses")
    assert "making the school" not in again.complaints()
    assert school_numbers(again) == before


def test_fresh_starts_anew(demo, klasskart):
    before = school_numbers(demo)
    assert stop(demo) == 0
    again = klasskart("--school", SCHOOL_1, "--data", demo.data, "--fresh")
    again.data = demo.data
    again.until(lambda: "Ctrl-C" in again.complaints(), "its addresses")
    assert school_numbers(again) != before


def test_two_demos_move_apart(demo, klasskart):
    """A second demo finds the ports taken; one on the same folder is refused."""
    other = klasskart("--school", SCHOOL_1)
    other.until(lambda: "Ctrl-C" in other.complaints(), "its addresses")
    assert address(other, "Parents' page") != address(demo, "Parents' page")
    third = klasskart("--school", SCHOOL_1, "--data", demo.data)
    assert third.wait() == 3
    assert "is in use by process" in third.complaints()


def test_every_killed_process_comes_back(demo):
    pids = demo.pids()
    for pid in pids.values():
        kill(pid)
    for name, pid in pids.items():
        demo.until(
            lambda name=name, pid=pid: is_running(demo.pid_of(name)) and demo.pid_of(name) != pid, name
        )
        assert f"{name} has ended unexpectedly and is started again" in demo.complaints()


def tap(panel, who, where, **others):
    """Hold a card by the panel's form; the text of the page when the trail is over."""
    root = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(panel))
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(panel, timeout=20) as answer:
        answer.read()
    form = urllib.parse.urlencode({"who": who, "where": where, "when": "now", "time": "", **others}).encode()
    with opener.open(urllib.request.Request(f"{root}/tap", form, {"Origin": root}), timeout=20) as answer:
        url = answer.url
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with opener.open(f"{url}/columns", timeout=20) as answer:
            text = answer.read().decode()
        if 'data-over="yes"' in text:
            return text
        time.sleep(0.1)
    raise AssertionError(f"the trail does not end: {text}")


def rich_pupil(command):
    """The account whose parent the terminal names."""
    name = re.search(r"child: (\S+ \S+),", command.complaints())[1]
    panel = address(command, "Tap panel")
    _, page = fetch(panel)
    return re.search(rf'name="who" value="([0-9a-f]{{8}})"[^>]*><span>{name}', page)[1]


def test_tap_travels_to_the_parent(demo):
    """Through the panel, all the way: light, record, books and message, for a lunch and for an entry."""
    panel, pupil = address(demo, "Tap panel"), rich_pupil(demo)
    for _ in range(5):
        # The money may lie on the other line, and on a busy machine the way back takes longer than
        # the verdict window: then a child taps again, as here.
        lunch = tap(panel, pupil, "line-1:-", when="at", time="12:10")
        if "Выдано" in lunch:
            break
    assert "Выдано" in lunch
    assert "Кошелёк ребёнка" in lunch
    assert "Отправлено взрослым" in lunch
    entry = tap(panel, pupil, "gate-1:in")
    assert "Проходите" in entry
    assert "ротор повернулся" in entry
    assert "Отправлено взрослым" in entry
    spooled = [path.read_text(encoding="utf-8") for path in (demo.data / "spool").glob("*.txt")]
    assert any("12:10" in text for text in spooled)


def test_basket_travels_to_the_parent(demo):
    """Two goods for one tap: one entry over both, and a message with their names."""
    panel, pupil = address(demo, "Tap panel"), rich_pupil(demo)
    _, page = fetch(panel)
    fields = dict(re.findall(r'class="good"><span>([^<]+)</span><input[^>]*name="(good-\d+)"', page))
    goods = {fields["Завтрак"]: 1, fields["Полдник"]: 2}
    for _ in range(5):
        sold = tap(panel, pupil, "line-1:-", when="at", time="12:10", **goods)
        if "Выдано" in sold:
            break
    assert "Выдано" in sold
    assert sold.count("Проводка") == 1
    assert "−175,00" in sold or "-175,00" in sold
    spooled = [path.read_text(encoding="utf-8") for path in (demo.data / "spool").glob("*.txt")]
    assert any("завтрак, полдник ×2" in text for text in spooled)


def test_tap_without_passage_is_told_so(demo):
    page = tap(address(demo, "Tap panel"), rich_pupil(demo), "gate-2:out", stays="yes")
    assert "никто не прошёл" in page
    assert "Сообщать не о чем" in page


def test_unknown_card_is_refused(demo):
    page = tap(address(demo, "Tap panel"), "unknown", "line-2:-")
    assert "Подойдите" in page
    assert "карта не знакома" in page
