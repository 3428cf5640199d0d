"""The till's page: what stands on it, and what its buttons do.

Promises: a page gets what View says and the menu, nothing else; each command answers with the whole state, so
that a window that missed something has it right after; works without scripts by reloading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from reader_host.local import words
from reader_host.local.page import create_local
from reader_host.till.menu import Good
from reader_host.till.serving import LINES_MAX, QUANTITY_MAX, REASONS
from reader_host.till.till import Till

WAIT_S = 20.0
LEFT_SHOWN = 20
_KEYS = 12


class Tile(NamedTuple):
    """One tile: `state` is sale, gone or unchecked; `left` None where it need not be said; `key` F1..F12."""

    good: Good
    quantity: int
    left: int | None
    state: str
    key: str


def create_till(till: Till, label: str, *, port: int, token: str) -> Flask:
    """The application of one till; `label` names its line (`line-1`)."""
    app = create_local("till", Path(__file__).parent, port=port, token=token, command="klasskart till")
    views = _Views(till, label)
    app.add_url_rule("/", view_func=views.page, endpoint="page")
    app.add_url_rule("/live", view_func=views.live, endpoint="live")
    app.add_url_rule("/do/<what>", view_func=views.do, endpoint="do", methods=["POST"])
    return app


class _Views:
    """The views; one object for one application."""

    def __init__(self, till: Till, label: str) -> None:
        self._till = till
        self._label = label

    def page(self) -> str:
        """The whole page."""
        return render_template("till.html", **self._values(0, 0))

    def live(self) -> str:
        """What stands on it, as soon as it differs from what was seen."""
        return render_template("_live.html", **self._values(_number("seen"), WAIT_S))

    def do(self, what: str) -> str | Response:
        """One command; the answer is the state after it."""
        till = self._till
        good, revision, seq = _number("good"), _number("revision"), _number("seq")
        acts: dict[str, Any] = {
            "less": lambda each: each.less(good),
            "clear": lambda each: each.clear(),
            "withdraw": lambda each: each.withdraw(),
            "repeat": lambda each: each.repeat(),
            "charge": lambda each: each.charge(revision),
            "again": lambda each: each.again(revision),
            "dismiss": lambda each: each.dismiss(),
            "next": lambda each: each.clear(),
            "ask": lambda each: each.ask_reason(seq, till.now()),
            "keep": lambda each: each.keep(),
            "undo": lambda each: each.undo(seq, request.values.get("reason", "")),
        }
        if what in acts:
            till.do(acts[what])
        elif what in ("add", "scan"):
            code = request.values.get("code", "")
            found = till.menu.good(good) if what == "add" else till.menu.of_barcode(code)
            if found is not None:
                till.press(found)
        else:
            abort(404)
        if request.values.get("part"):
            return render_template("_live.html", **self._values(0, 0))
        return redirect(url_for("page", tab=request.values.get("tab", "")), 303)

    def _values(self, seen: int, wait_s: float) -> dict[str, object]:
        view = self._till.look(seen, wait_s)
        serving, menu = view.serving, self._till.menu
        now = self._till.now()
        here = menu.at(self._till.minute())
        tabs = [tab for tab in menu.tabs if any(each.tab == tab.key for each in here)]
        wanted = request.values.get("tab", "")
        chosen = next((tab for tab in tabs if tab.key == wanted), tabs[0] if tabs else None)
        total = sum(
            good.price_minor * quantity
            for number, quantity in serving.basket.items()
            if (good := menu.good(number)) is not None
        )
        result, last = serving.result, serving.last
        return {
            "label": words.device_name(self._label, g.language),
            "view": view,
            "serving": serving,
            "health": view.health,
            "now": now,
            "clock": words.clock,
            "tabs": tabs,
            "chosen": chosen,
            "tiles": self._tiles([each for each in here if chosen and each.tab == chosen.key]),
            "next_at": self._next_at(),
            "basket": [(menu.good(number), number, quantity) for number, quantity in serving.basket.items()],
            "units": sum(serving.basket.values()),
            "total": self._money(total),
            "price": lambda good: self._money(good.price_minor),
            "result": result,
            "result_lines": self._named(result.lines) if result else [],
            "last": last,
            "last_units": sum(quantity for _good, quantity in last.lines) if last else 0,
            "is_last_of_today": last is not None and words.local_day(last.time) == words.local_day(now),
            "reasons": REASONS,
            "lines_max": LINES_MAX,
            "quantity_max": QUANTITY_MAX,
        }

    def _money(self, amount_minor: int) -> str:
        return words.money(amount_minor, self._till.menu.currency, g.language)

    def _named(self, lines: Any) -> list[tuple[str, int]]:
        found = [(self._till.menu.good(number), quantity) for number, quantity in lines]
        return [(good.name.of(g.language), quantity) for good, quantity in found if good is not None]

    def _tiles(self, goods: list[Good]) -> list[Tile]:
        tiles = []
        for at, good in enumerate(goods, 1):
            left = self._till.left(good)
            count = self._till.serving.basket.get(good.number, 0)
            state = "sale" if good.is_checked else "unchecked"
            if state == "sale" and left == 0 and not count:
                state = "gone"
            shown = left if left is not None and left <= LEFT_SHOWN else None
            tiles.append(Tile(good, count, shown, state, f"F{at}" if at <= _KEYS else ""))
        return tiles

    def _next_at(self) -> str:
        """When something is on sale next today, `09:30`, or nothing."""
        minute = self._till.minute()
        later = [each.from_minute for each in self._till.menu.goods if each.from_minute > minute]
        return f"{min(later) // 60:02d}:{min(later) % 60:02d}" if later else ""


def _number(name: str) -> int:
    text = request.values.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
