"""The page of the desk: one card, a class in a row, what waits for the cloud, and the list to print.

Promises: stands behind the door of every local page (reader_host.local.door); shows no key, no credential and
no serial number; every button is a form, so all works without JavaScript by reloading.  Leaves the rules to
work.py and the reader to bench.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from flask import Flask, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from protocols.errors import name as refusal_name
from reader_host.desk import store
from reader_host.desk.bench import Bench, next_of
from reader_host.desk.owners import OPEN
from reader_host.desk.roster import Pupil
from reader_host.desk.sender import Sender
from reader_host.desk.store import GIVING, ISSUE, MAIN, RENEW, REPLACE, TEMPORARY, WIPE, Operation, Store
from reader_host.desk.work import KINDS, PERHAPS, Wish, Work
from reader_host.local import words
from reader_host.local.page import create_local

VIEWS = ("one", "row", "lost", "waiting")
CHOICES = ("now", "hour", "today", "yesterday", "week")
LOST = "lost"
"""The choice of a form for a card in the place of a lost one; the other choices are KINDS."""


@dataclass(frozen=True)
class Parts:
    """What the page speaks to."""

    bench: Bench
    work: Work
    kept: Store
    sender: Sender
    now: Callable[[], int]
    port: int
    token: str = field(repr=False)


def create_desk(parts: Parts) -> Flask:
    """The application of one desk."""
    app = create_local(
        "desk", Path(__file__).parent, port=parts.port, token=parts.token, command="klasskart desk"
    )
    desk = _Desk(parts)
    for view in VIEWS:
        path = "/" if view == "one" else f"/{view}"
        app.add_url_rule(path, view_func=desk.page, endpoint=view, defaults={"view": view})
    app.add_url_rule("/live/<view>", view_func=desk.live, endpoint="live")
    app.add_url_rule("/list/<class_name>", view_func=desk.printed, endpoint="list")
    for name in (
        "give",
        "renew",
        "wipe",
        "cancel",
        "drop",
        "plain",
        "start",
        "skip",
        "undo",
        "again",
        "end",
        "send",
        "seen",
        "find",
        "block",
    ):
        app.add_url_rule(f"/{name}", view_func=getattr(desk, name), endpoint=name, methods=["POST"])
    return app


def _back(view: str) -> Response:
    return redirect(url_for(view if view in VIEWS else "one"), 303)


class _Desk:
    """The views; one object for one application."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._bench = parts.bench
        self._store = parts.kept
        self._found = ""
        """Whose cards the page of a lost card shows."""

    # To look at.

    def page(self, view: str, problem: str = "", chosen: str = "") -> str:
        """A whole page."""
        self._bench.look_at_row(view == "row")
        return render_template(f"{view}.html", problem=problem, chosen=chosen, **self._values(view))

    def live(self, view: str) -> tuple[str, int]:
        """The parts of a page that change by themselves; nothing while they are the same."""
        if view not in VIEWS:
            abort(404)
        if view == "row":
            self._bench.look_at_row(True)
        if request.args.get("seen") == str(self._bench.situation().version):
            return "", 204
        return render_template("_live.html", **self._values(view)), 200

    def printed(self, class_name: str) -> str:
        """The list of a class to print and sign."""
        pupils = self._parts.sender.roster().classes().get(class_name)
        if pupils is None:
            abort(404)
        rows = [(pupil, self._parts.work.held(pupil.student)) for pupil in pupils]
        return render_template("list.html", rows=rows, class_key=class_name, **self._values("row"))

    def _values(self, view: str) -> dict[str, object]:
        situation = self._bench.situation()
        if situation.operation is not None:
            # The cloud may have answered since.
            situation = situation._replace(operation=self._store.numbered(situation.operation.number))
        roster = self._parts.sender.roster()
        row = self._store.row()
        count, since = self._store.waiting()
        refused = self._store.in_state(store.REFUSED)
        return {
            "view": view,
            "now": self._parts.now(),
            "situation": situation,
            "roster": roster,
            "row": row,
            "turn": next_of(row),
            "waiting_count": count,
            "waiting_since": since,
            "refused": [each for each in refused if not each.seen],
            "ready": self._store.in_state(store.READY, 200) if view == "waiting" else [],
            "link": self._parts.sender.link(),
            "name_of": self._name,
            "class_of": self._class,
            "classes": {words.class_name(name, g.language): each for name, each in roster.classes().items()},
            "class_name": lambda name: words.class_name(name, g.language),
            "clock": words.clock,
            "day": lambda at: words.day(at, g.language),
            "iso_day": lambda text: words.day(date.fromisoformat(text), g.language),
            "moment": lambda at: words.moment(at, self._parts.now(), g.language),
            "line_state": self._line_state,
            "row_given": sum(self._line_state(line) in (store.READY, store.ACCEPTED) for line in row),
            "refusal_name": refusal_name,
            "can_undo": self._last() is not None,
            "found": self._pupil(self._found) if view == "lost" else None,
            "found_cards": self._parts.work.owners.of_student(self._found) if view == "lost" else [],
            "choices": CHOICES,
        }

    def _pupil(self, student: str) -> Pupil | None:
        return self._parts.sender.roster().pupil(student)

    def _name(self, student: str) -> str:
        """The pupil's name, or the school's number of one who is not on the list any more."""
        pupil = self._pupil(student)
        return pupil.name if pupil else student

    def _class(self, student: str) -> str:
        pupil = self._pupil(student)
        return words.class_name(pupil.class_name, g.language) if pupil else ""

    def _line_state(self, line: store.Line) -> str:
        """WAITING, SKIPPED, or the state of the operation that gave the card."""
        return self._store.operation(line.op_id).state if line.op_id else line.state

    # One card.

    def give(self) -> Response | tuple[str, int]:
        """Give the card that lies there, or the next one, to a pupil."""
        student, choice = request.form.get("student", ""), request.form.get("kind", MAIN)
        until = request.form.get("until", "")
        if self._pupil(student) is None:
            return self.page("one", problem="student"), 422
        if choice != LOST and choice not in KINDS:
            abort(400)
        if choice == TEMPORARY and not self._is_to_come(until):
            return self.page("one", problem="until", chosen=student), 422
        op = {LOST: REPLACE, TEMPORARY: TEMPORARY}.get(choice, ISSUE)
        kind = MAIN if choice == LOST else choice
        wish = Wish(op, student, kind, until if op == TEMPORARY else "")
        return self._ask(wish)

    def _is_to_come(self, text: str) -> bool:
        try:
            return date.fromisoformat(text) >= words.local_day(self._parts.now())
        except ValueError:
            return False

    def _ask(self, wish: Wish) -> Response | tuple[str, int]:
        """Ask for it; a form that was made for another card than lies there now changes nothing."""
        situation = self._bench.situation()
        laid = request.form.get("laid", "")
        if situation.look is not None and laid and laid != str(situation.laid):
            return self.page("one", problem="changed", chosen=wish.student), 409
        self._bench.ask(wish)
        return _back("one")

    def wipe(self) -> Response | tuple[str, int]:
        """Wipe the card that lies there."""
        return self._to_this_card(WIPE)

    def renew(self) -> Response | tuple[str, int]:
        """Give the card that lies there the newest keys; it stays whose it is."""
        return self._to_this_card(RENEW)

    def _to_this_card(self, op: str) -> Response | tuple[str, int]:
        situation = self._bench.situation()
        if situation.look is None or request.form.get("laid") != str(situation.laid):
            return self.page("one", problem="changed"), 409
        self._bench.ask(Wish(op, uid_ref=situation.look.uid_ref))
        return _back(request.form.get("view", "one"))

    def cancel(self) -> Response:
        """Forget what the next card was for."""
        self._bench.ask(None)
        return _back(request.form.get("view", "one"))

    def drop(self) -> Response:
        """The card that was begun will not come back."""
        self._bench.drop()
        return _back(request.form.get("view", "one"))

    def plain(self) -> Response:
        """Give the card that lies there all the same: the warning was read."""
        situation, view = self._bench.situation(), request.form.get("view", "one")
        wish = situation.wish
        if wish is None and view == "row":
            line = next_of(self._store.row())
            wish = None if line is None else Wish(ISSUE, line.student, place=line.place)
            self._bench.takes_plain = self._bench.takes_plain or bool(request.form.get("all"))
        if (
            wish is not None
            and situation.look is not None
            and request.form.get("laid") == str(situation.laid)
        ):
            # That it is plain is asked first, so who answers the second question has answered both.
            is_second = situation.reason == PERHAPS
            self._bench.ask(
                wish._replace(plain_allowed=True, part_allowed=is_second, uid_ref=situation.look.uid_ref)
            )
        return _back(view)

    # A class in a row.

    def start(self) -> Response:
        """Begin a class: everybody, or who has no card yet."""
        name = request.form.get("class", "")
        pupils = self._parts.sender.roster().classes().get(name)
        if pupils is None:
            abort(400)
        if not request.form.get("everybody"):
            pupils = [each for each in pupils if not self._parts.work.held(each.student)]
        self._bench.takes_plain = False
        self._store.start_row(name, [each.student for each in pupils])
        self._bench.ask(None)
        return _back("row")

    def skip(self) -> Response:
        """Not this pupil now."""
        line = next_of(self._store.row())
        if line is not None and request.form.get("place") == str(line.place):
            self._store.set_line(line.place, store.SKIPPED)
            self._bench.show_again()
        return _back("row")

    def again(self) -> Response:
        """A pupil who was skipped has come."""
        for line in self._store.row():
            if str(line.place) == request.form.get("place") and line.state == store.SKIPPED:
                self._store.set_line(line.place, store.WAITING)
        self._bench.show_again()
        return _back("row")

    def undo(self) -> Response:
        """Take the last card of the class back: it is wiped when it lies on the reader."""
        last = self._last()
        if last is not None:
            self._bench.ask(Wish(WIPE, uid_ref=last.uid_ref))
        return _back("row")

    def _last(self) -> Operation | None:
        given = [self._store.operation(line.op_id) for line in self._store.row() if line.op_id]
        finished = [each for each in given if each.op in GIVING and each.state != store.BEGUN]
        return max(finished, key=lambda each: each.number, default=None)

    def end(self) -> Response:
        """The class is over."""
        self._store.end_row()
        self._bench.ask(None)
        return _back("row")

    # A card that is lost.

    def find(self) -> Response | tuple[str, int]:
        """Show a pupil's cards."""
        student = request.form.get("student", "")
        if self._pupil(student) is None:
            return self.page("lost", problem="student"), 422
        self._found = student
        self._bench.show_again()
        return _back("lost")

    def block(self) -> Response | tuple[str, int]:
        """Report one of these cards lost; a form that was made for other cards changes nothing."""
        ref, since = request.form.get("ref", ""), request.form.get("since", "")
        if since not in CHOICES:
            abort(400)
        cards = self._parts.work.owners.of_student(self._found) if self._found else []
        lost = [each for each in cards if each.ref == ref and each.state == OPEN]
        if request.form.get("student") != self._found or not lost:
            return self.page("lost", problem="changed"), 409
        now = self._parts.now()
        self._parts.work.block(lost[0], words.since(since, now))
        self._parts.sender.wake()
        self._bench.show_again()
        return _back("lost")

    # What the cloud did not take.

    def send(self) -> Response:
        """Send a refused operation once more."""
        self._parts.work.send_again(self._refused())
        self._parts.sender.wake()
        self._bench.show_again()
        return _back("waiting")

    def seen(self) -> Response:
        """A person has read why it was refused."""
        self._store.set_seen(self._refused().op_id)
        self._bench.show_again()
        return _back("waiting")

    def _refused(self) -> Operation:
        wanted = request.form.get("op_id", "")
        found = [each for each in self._store.in_state(store.REFUSED) if each.op_id == wanted]
        if not found:
            abort(404)
        return found[0]
