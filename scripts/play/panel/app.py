"""The panel's own little web application: one page, one form, and the columns of a tap to follow.

It stands in the frame and behind the door of every local page (reader_host.local); works without JavaScript
by reloading.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from flask import Flask, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from cloud.formats import SchoolTime, class_name
from reader_host.local.page import create_local
from scripts.play.panel.trail import KEPT, Choice, Trail
from scripts.play.panel.words import Teller, say

UNKNOWN = "unknown"
QUANTITY_MAX = 9
FIELDS = ("who", "where", "when", "time", "stays")
_RELOAD_S = 1


@dataclass(frozen=True)
class Pupil:
    """One line of the list; `key` is what the form sends, `credential` the card in that pupil's pocket."""

    key: str
    name: str
    class_name: str
    credential: str


@dataclass(frozen=True)
class Good:
    """What a cashier may ring up."""

    number: int
    ru: str
    en: str

    @property
    def key(self) -> str:
        """What the form sends."""
        return f"good-{self.number}"

    def name(self, language: str) -> str:
        """As it stands on the page."""
        return self.ru if language == "ru" else self.en


@dataclass(frozen=True)
class Place:
    """One reader of one board: `key` is `gate-1:in` or `line-1:-`."""

    device: str
    reader: str

    @property
    def key(self) -> str:
        """What the form sends."""
        return f"{self.device}:{self.reader}"

    @property
    def is_gate(self) -> bool:
        """Whether somebody can walk through here."""
        return self.reader != "-"


class Taps(Protocol):
    """What the page needs of the stand."""

    def tap(self, choice: Choice, who: str) -> Trail:
        """Hold a card; returns at once."""

    def trail(self, number: int) -> Trail | None:
        """A trail as it is now."""

    def elapsed_ms(self, number: int) -> int:
        """Milliseconds since its card was held."""

    def pupils(self) -> list[Pupil]:
        """Who has a card; empty while the cloud does not answer."""

    def unknown_credential(self) -> str:
        """A card that nobody has."""


@dataclass(frozen=True)
class Setting:
    """What does not change while the panel runs."""

    port: int
    token: str = field(repr=False)
    places: tuple[Place, ...]
    time_zone: str
    currency: str
    menu: str
    goods: tuple[Good, ...]
    parents_url: str
    office_url: str


def create_panel(setting: Setting, taps: Taps) -> Flask:
    """The application for one stand; `setting.token` is the launch token."""
    app = create_local(
        "panel", Path(__file__).parent, port=setting.port, token=setting.token, command="klasskart demo"
    )
    panel = _Panel(setting, taps)
    app.add_url_rule("/", view_func=panel.page, endpoint="page")
    app.add_url_rule("/tap", view_func=panel.tap, methods=["POST"], endpoint="tap")
    app.add_url_rule("/taps/<int:number>", view_func=panel.page, endpoint="trail")
    app.add_url_rule("/taps/<int:number>/columns", view_func=panel.columns, endpoint="columns")
    app.add_url_rule("/taps/<int:number>/void", view_func=panel.void, methods=["POST"], endpoint="void")
    return app


class _Panel:
    """The views; one object for one application."""

    def __init__(self, setting: Setting, taps: Taps):
        self._setting = setting
        self._taps = taps
        # A chosen time runs on from the moment of its first use: two taps minutes apart are no repeat.
        self._shifts: dict[str, timedelta] = {}
        self._forms: dict[int, dict[str, str]] = {}

    # The pages.

    def page(self, number: int = 0, problem: str = "") -> str:
        """The whole panel, with the trail of one tap when there is one."""
        trail = self._taps.trail(number) if number else None
        if number and trail is None:
            abort(404)
        classes: dict[str, list[Pupil]] = {}
        for pupil in self._taps.pupils():
            classes.setdefault(pupil.class_name, []).append(pupil)
        return render_template(
            "panel.html",
            classes={class_name(name, g.language): pupils for name, pupils in classes.items()},
            menu=self._setting.menu,
            quantity_max=QUANTITY_MAX,
            setting=self._setting,
            chosen=self._chosen(trail),
            problem=problem,
            reload_s=_RELOAD_S if trail and not trail.is_over else 0,
            **self._trail_values(trail),
        )

    def columns(self, number: int) -> str:
        """The columns alone, for the script to put into the page."""
        trail = self._taps.trail(number)
        if trail is None:
            abort(404)
        return render_template("_columns.html", **self._trail_values(trail))

    def tap(self) -> AnyResponse | tuple[str, int]:
        """Hold a card as the form says; the answer is the page of its trail."""
        choice, who, problem = self._read_form()
        if choice is None:
            return self.page(problem=self._say(problem)), 422
        trail = self._taps.tap(choice, who)
        self._forms[trail.number] = self._form()
        self._forms.pop(trail.number - KEPT, None)
        return redirect(url_for("trail", number=trail.number), 303)

    def void(self, number: int) -> AnyResponse:
        """Take the sale of a trail back; the answer is the page of a trail of its own."""
        sale = self._taps.trail(number)
        if sale is None or not sale.sale_seq:
            abort(404)
        trail = self._taps.tap(replace(sale.choice, undoes=sale.sale_seq), sale.who)
        kept = self._forms.get(number)
        if kept:
            self._forms[trail.number] = kept
        self._forms.pop(trail.number - KEPT, None)
        return redirect(url_for("trail", number=trail.number), 303)

    # What they are made of.

    def _say(self, key: str, **values: object) -> str:
        return say(g.language, key, **values)

    def _teller(self) -> Teller:
        times = SchoolTime(self._setting.time_zone, g.language)
        return Teller(g.language, self._setting.currency, times)

    def _trail_values(self, trail: Trail | None) -> dict[str, object]:
        teller = self._teller()
        elapsed = self._taps.elapsed_ms(trail.number) if trail else 0
        return {
            "say": self._say,
            "trail": trail,
            "columns": teller.columns(trail, elapsed),
            "place_name": teller.place,
            "times": teller.times,
        }

    def _chosen(self, trail: Trail | None) -> dict[str, str]:
        """What the form shows as chosen: what was sent, what the trail was, or nothing."""
        if request.method == "POST":
            return self._form()
        kept = self._forms.get(trail.number) if trail else None
        return kept or {
            "who": "",
            "where": self._setting.places[0].key,
            "when": "now",
            "time": "12:10",
            "stays": "",
        }

    def _form(self) -> dict[str, str]:
        names = (*FIELDS, *(good.key for good in self._setting.goods))
        return {name: request.form.get(name, "") for name in names}

    def _read_form(self) -> tuple[Choice | None, str, str]:
        """The choice and whose card it is; or None and the key of the words that say what is missing."""
        who, where = request.form.get("who", ""), request.form.get("where", "")
        place = next((place for place in self._setting.places if place.key == where), None)
        pupil = next((pupil for pupil in self._taps.pupils() if pupil.key == who), None)
        if who != UNKNOWN and pupil is None:
            return None, "", "choose_first"
        if place is None:
            return None, "", "bad_choice"
        at = self._moment()
        if at is None:
            return None, "", "bad_time"
        goods = self._rung_up()
        if goods is None:
            return None, "", "bad_quantity"
        credential = pupil.credential if pupil else self._taps.unknown_credential()
        name = (
            f"{pupil.name}, {class_name(pupil.class_name, g.language)}"
            if pupil
            else self._say("unknown_card")
        )
        walks = not request.form.get("stays")
        choice = Choice(credential, pupil is not None, place.device, place.reader, at, walks)
        return choice if place.is_gate else replace(choice, goods=goods), name, ""

    def _rung_up(self) -> tuple[tuple[int, int], ...] | None:
        """(good, quantity) of what was chosen; None for a quantity that is none."""
        found = []
        for good in self._setting.goods:
            text = request.form.get(good.key, "").strip() or "0"
            if not (text.isascii() and text.isdigit() and int(text) <= QUANTITY_MAX):
                return None
            if int(text):
                found.append((good.number, int(text)))
        return tuple(found)

    def _moment(self) -> int | None:
        """The UTC second of the tap: now, or today at the chosen time and running on from there."""
        now = datetime.now(ZoneInfo(self._setting.time_zone))
        if request.form.get("when") != "at":
            return int(now.timestamp())
        text = request.form.get("time", "")
        if text not in self._shifts:
            try:
                chosen = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 a time of day has no zone
            except ValueError:
                return None
            self._shifts[text] = datetime.combine(now.date(), chosen, tzinfo=now.tzinfo) - now
        return int((now + self._shifts[text]).timestamp())
