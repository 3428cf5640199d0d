"""What tests of the till start from: a menu, children who pay in all ways, a real board with its cloud."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from protocols.card.credential import card_ref
from protocols.ledger import record
from protocols.wire import messages, table
from protocols.wire.till import pairing_key
from reader_host.till import menu as menus
from reader_host.till.board_line import BoardLine
from reader_host.till.program import TillProgram, at_board, at_wire
from reader_host.virtual.board import VirtualBoard
from reader_host.virtual.cable import Cable
from tests.reader_host.virtual.hand import REFERENCE_KEY, provision
from tests.reader_host.virtual.peer import Peer

LUNCH_PRICE = 9600
LUNCH, BUN = 7, 22
PURSE, DEBT_LIMIT = 123400, 19300
CARDS = {
    name: f"a:04{number * 7919:012X}"
    for number, name in enumerate(("paid", "subsidised", "credit", "declined", "other"), 1)
}
ACCOUNTS = {name: 0xA0000001 + number for number, name in enumerate(CARDS)}
UNKNOWN_CARD = "a:04FFFFFFFFFFFF"


def _good(number: int, tab: str, ru: str, en: str, price: str, **more: Any) -> dict[str, Any]:
    good = {"number": number, "tab": tab, "name": {"ru": ru, "en": en}, "price": price}
    if "portion" in more:
        more["portion"] = dict(zip(("ru", "en"), more["portion"], strict=True))
    if "contents" in more:
        more["contents"] = dict(zip(("ru", "en"), more["contents"], strict=True))
    return good | {"from": "00:00", "to": "23:59", "checked": True} | more


GOODS = [
    _good(7, "lunch", "Обед 1–4 класс", "Lunch, years 1–4", "96.00",
          contents=("Борщ, котлета с пюре, компот, хлеб", "Borscht, cutlet with mash, compote, bread")),
    _good(8, "lunch", "Обед 5–11 класс", "Lunch, years 5–11", "118.00",
          contents=("Борщ, котлета с пюре, салат, компот, хлеб", "Borscht, cutlet, salad, compote, bread")),
    _good(11, "lunch", "Борщ", "Borscht", "32.00", portion=("250 г", "250 g")),
    _good(12, "lunch", "Котлета куриная", "Chicken cutlet", "41.00", portion=("90 г", "90 g")),
    _good(13, "lunch", "Пюре картофельное", "Mashed potatoes", "24.00", portion=("150 г", "150 g")),
    _good(14, "lunch", "Гречка", "Buckwheat", "21.00", portion=("150 г", "150 g")),
    _good(22, "lunch", "Булочка с маком", "Poppy seed bun", "27.50", stock=18, barcodes=["4600000000022"]),
    _good(15, "lunch", "Яблоко", "Apple", "18.00", portion=("1 шт.", "1 pc")),
    _good(16, "lunch", "Компот", "Compote", "14.00", portion=("200 мл", "200 ml")),
    _good(17, "lunch", "Чай с лимоном", "Tea with lemon", "12.00", portion=("200 мл", "200 ml")),
    _good(18, "lunch", "Хлеб ржаной", "Rye bread", "3.00", portion=("30 г", "30 g")),
    _good(19, "lunch", "Салат из свёклы", "Beetroot salad", "19.00", portion=("60 г", "60 g"), stock=20),
    _good(20, "lunch", "Сырники", "Curd pancakes", "45.00", stock=0),
    _good(21, "lunch", "Творожок", "Curd", "30.00", checked=False),
    _good(30, "buffet", "Пирожок с капустой", "Cabbage pie", "25.00"),
    _good(40, "drinks", "Сок яблочный", "Apple juice", "35.00", portion=("200 мл", "200 ml")),
    _good(50, "services", "Копия, 1 страница", "Copy, 1 page", "5.00"),
]  # fmt: skip
MENU = {
    "currency": "RUB",
    "tabs": [
        {"key": key, "name": {"ru": ru, "en": en}}
        for key, ru, en in (
            ("lunch", "Обед", "Lunch"),
            ("buffet", "Буфет", "Buffet"),
            ("drinks", "Напитки", "Drinks"),
            ("services", "Услуги", "Services"),
        )
    ],
    "goods": GOODS,
}


def menu_folder(folder: Path) -> Path:
    """A till's folder with the menu in it."""
    folder.mkdir(exist_ok=True)
    (folder / menus.FILE).write_text(json.dumps(MENU), encoding="utf-8")
    return folder


def _settings(verdict_ms: int) -> messages.Settings:
    items = tuple(
        messages.MenuItem(
            each["number"], 0, 1439, int(each["price"].replace(".", "")), 2 if each["number"] < 10 else 0
        )
        for each in GOODS
    )
    flags = messages.FIXED_MOMENT
    return messages.Settings(1, 180, 3000, verdict_ms, 5000, flags, 200000, 0, 0xFFFF, 0, items)


def _rows() -> list[table.Row]:
    kinds = {
        "paid": (PURSE, 0, 0),
        "subsidised": (0, 0xFFFF, table.meal_flag(2)),
        "credit": (0, 0, table.CREDIT),
        "declined": (0, 0, 0),
        "other": (PURSE, 0, 0),
    }
    return [
        table.Row(card_ref(REFERENCE_KEY, CARDS[name])[:8], ACCOUNTS[name], rights, days, flags, 0)
        for name, (rights, days, flags) in kinds.items()
    ]


class Canteen:
    """A till before a real board, and the cloud behind it that keeps its records."""

    def __init__(self, program: TillProgram, board: VirtualBoard, peer: Peer) -> None:
        self.program = program
        self.till = program.till
        self.board = board
        self.peer = peer

    def hold(self, name: str) -> None:
        """Hold the card of a child to the reader."""
        self.board.send(f"card - {CARDS.get(name, name)}")

    def cut(self) -> None:
        """The power of the controller goes, and comes back."""
        os.kill(self.board.pid, signal.SIGKILL)

    def wait(self, condition: Any, what: str, timeout_s: float = 30) -> None:
        """Until the serving is so."""
        until = time.monotonic() + timeout_s
        while not condition(self.till.look().serving):
            assert time.monotonic() < until, f"waited in vain for {what}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until the board has table and settings and the till knows its last operation."""
        until = time.monotonic() + 60
        while True:
            view = self.till.look()
            if view.serving._is_settled and view.health.table and not view.is_away:
                return
            assert time.monotonic() < until, (view.health, view.is_away)
            time.sleep(0.05)

    def sales(self) -> list[record.Record]:
        """Every SALE that the board has journaled, once all records have arrived."""
        known = self.till.look().serving.seq_known
        self.peer.wait(lambda: len(self.peer.records) >= known, "all records", 30)
        return self.peer.of(record.SALE)


@contextmanager
def canteen(
    folder: Path, broker_port: int, *, verdict_ms: int = 150, cable: Cable | None = None
) -> Iterator[Canteen]:
    """A till that runs over one real board; with a cable it is a program beside it, as with a real one."""
    given = provision("canteen", broker_port) | {"world_clock": False}
    if cable is not None:
        given["till_port"] = cable.port
    day = int(time.time() + 180 * 60) // 86400
    peer = Peer(broker_port, given, _rows(), _settings(verdict_ms), grants=False)
    peer.image = table.build(_rows(), peer.table_version, day, DEBT_LIMIT)
    peer.ahead_s = 0
    board = VirtualBoard.create(folder / "board", given)
    place = menu_folder(folder / "till")
    make_line = at_board(board.folder)
    if cable is not None:
        board.start()
        (folder / "key.json").write_text(json.dumps({"pairing_key": pairing_key(bytes(range(32))).hex()}))
        make_line = at_wire(place, cable.path, folder / "key.json")
    program = TillProgram(place, make_line, menus.read(place))
    try:
        with program:
            own = program.line._board if isinstance(program.line, BoardLine) else board
            made = Canteen(program, own, peer)
            made.settle()
            yield made
    finally:
        peer.close()
        board.stop()
    assert peer.problems == []
