"""Pages of lost cards: `parents` for a family's own children, `office` for staff and the contact centre.

Promises: a card or report of another family is a page that does not exist; what changes something is a POST
with its form's token; staff give a reason, and it is kept with their name.  Leaves every rule to service.py.
"""

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from cloud.db import begin, reading
from cloud.formats import sentence
from cloud.losses import service
from cloud.meals import service as meals
from cloud.people import service as people
from protocols.errors import Fault
from protocols.ids import hex8, parse_hex8

parents = Blueprint("family_cards", __name__, template_folder="templates")
office = Blueprint("lost_cards", __name__, url_prefix="/office", template_folder="templates")

Answer = Response | tuple[str, int]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_REASON_MAX = 200
_STAFF = (service.OFFICE, service.CONTACT_CENTRE)
_LISTED, _LOOKED_AT = 50, 20


# Parents.


@parents.before_request
def _only_parents() -> Response | None:
    return redirect(url_for("door.sign_in")) if g.session is None else None


@parents.get("/cards")
def cards() -> str:
    with reading(g.site.engine) as conn:
        children = _children(conn)
        found = service.cards_of(conn, g.session.school_id, [child.account_id for child in children])
    return render_template("losses/cards.html", children=children, cards=found, key=hex8)


@parents.post("/cards/<account>/block")
def block(account: str) -> Response:
    account_id = _number(account)
    with begin(g.site.engine) as conn:
        _own(conn, account_id)
        made = _report(conn, account_id, service.PARENT, _adult(), "")
    return redirect(url_for("family_cards.lost", number=made.number), 303)


@parents.get("/lost/<int:number>")
def lost(number: int) -> str:
    with reading(g.site.engine) as conn:
        child = _own(conn, _one(conn, number).account_id)
        values = _looked(conn, number)
    return render_template("losses/lost.html", child=child, **values)


@parents.post("/lost/<int:number>/found")
def found(number: int) -> Response:
    with begin(g.site.engine) as conn:
        one = _one(conn, number)
        _own(conn, one.account_id)
        if one.may_undo(g.now):
            service.found(
                conn,
                g.site.vault,
                g.site.archive,
                g.session.school_id,
                number,
                by=_adult(),
                reason="undone",
                now=g.now,
            )
    return redirect(url_for("family_cards.lost", number=number), 303)


def _adult() -> str:
    return f"adult {g.session.adult_id}"


def _children(conn: Connection) -> list[people.Child]:
    return people.children_of(conn, g.session.school_id, g.session.adult_id)


def _own(conn: Connection, account_id: int) -> people.Child:
    """The child of this family with this account; another's is a page that does not exist."""
    own = [child for child in _children(conn) if child.account_id == account_id]
    return own[0] if own else abort(404)


# The office and the contact centre.


@office.before_request
def _only_staff() -> Response | None:
    return redirect(url_for("office_door.show_door")) if g.session is None else None


@office.get("/lost")
def everything() -> str:
    school_id = g.session.school_id
    with reading(g.site.engine) as conn:
        reports = service.latest(conn, school_id, _LISTED)
        recent = [one for one in reports if one.is_open][:_LOOKED_AT]
        seen = {one.number: service.look(conn, school_id, one) for one in recent}
        offered = {number: len(service.offered(conn, school_id, each)) for number, each in seen.items()}
        waiting = {one.number for one in service.waiting(conn, school_id)}
    return render_template(
        "losses/everything.html", reports=reports, seen=seen, offered=offered, waiting=waiting
    )


@office.post("/pupils/<account>/lost")
def report(account: str) -> Answer:
    account_id, reason = _number(account), _reason()
    reporter = request.form.get("reporter", "")
    if not reason or reporter not in _STAFF:
        return _refused(gettext("Write down who says it and how you know them."))
    with begin(g.site.engine) as conn:
        made = _report(conn, account_id, reporter, _who(), reason)
    return redirect(url_for("lost_cards.one", number=made.number), 303)


@office.get("/lost/<int:number>")
def one(number: int) -> str:
    with reading(g.site.engine) as conn:
        values = _looked(conn, number)
        waiting = [each for each in service.waiting(conn, g.session.school_id) if each.number == number]
    return render_template("losses/one.html", waiting=waiting, who=_who(), **values)


@office.post("/lost/<int:number>/found")
def found_again(number: int) -> Answer:
    if not (reason := _reason()):
        return _refused(gettext("Write down how you know that the card is back."))
    with begin(g.site.engine) as conn:
        ended = service.found(
            conn,
            g.site.vault,
            g.site.archive,
            g.session.school_id,
            number,
            by=_who(),
            reason=reason,
            now=g.now,
        )
    if ended is None:
        abort(404)
    return redirect(url_for("lost_cards.one", number=number), 303)


@office.get("/lost/<int:number>/return")
def choose(number: int) -> str:
    with reading(g.site.engine) as conn:
        values = _looked(conn, number)
    return render_template("losses/choose.html", alone_minor=service.ALONE_MINOR, **values)


@office.post("/lost/<int:number>/return")
def take_back(number: int) -> Answer:
    chosen = [_place(text) for text in request.form.getlist("sale")]
    if not chosen:
        return _refused(gettext("Choose at least one purchase."))
    try:
        with begin(g.site.engine) as conn:
            after = service.look(conn, g.session.school_id, _one(conn, number)).after
            service.ask(
                conn,
                g.site.archive,
                g.session.school_id,
                number,
                after,
                chosen,
                by=_who(),
                reason=_reason(),
                now=g.now,
            )
    except service.Refused:
        return _refused(gettext("Write down why the purchases are returned."))
    return redirect(url_for("lost_cards.one", number=number), 303)


@office.post("/lost/<int:number>/decide")
def decide(number: int) -> Answer:
    asked, agree = request.form.get("request", ""), request.form.get("answer") == "yes"
    try:
        with begin(g.site.engine) as conn:
            service.decide(
                conn, g.site.archive, g.session.school_id, asked, by=_who(), agree=agree, now=g.now
            )
    except service.Refused:
        return _refused(gettext("Another person has to agree, signed in by a link of their own."))
    return redirect(url_for("lost_cards.one", number=number), 303)


def _who() -> str:
    """The name that the one-time link was made for."""
    name: str = g.session.who
    return name


def _reason() -> str:
    return request.form.get("reason", "").strip()[:_REASON_MAX]


def _refused(problem: str) -> tuple[str, int]:
    return render_template("losses/refused.html", problem=problem), 422


# Both.


def _report(conn: Connection, account_id: int, reporter: str, who: str, reason: str) -> service.Lost:
    """Block the card that the form names; one that is not of this account does not exist."""
    try:
        card_ref = bytes.fromhex(request.form.get("card", ""))
    except ValueError:
        abort(404)
    try:
        return service.report(
            conn, g.site.vault, g.site.archive, g.session.school_id, account_id, card_ref,
            reporter=reporter, who=who, reason=reason, lost_at=_lost_at(), now=g.now,
        )  # fmt: skip
    except service.NoSuchCard:
        abort(404)


def _lost_at() -> int:
    """Since when the card is gone, by the choice in the form."""
    midnight = g.times.day_bounds(g.times.day(g.now))[0]
    choices = {
        "hour": g.now - _HOUR, "today": midnight, "yesterday": midnight - _DAY, "week": midnight - 7 * _DAY,
    }  # fmt: skip
    return int(choices.get(request.form.get("since", ""), g.now))


def _one(conn: Connection, number: int) -> service.Lost:
    known = service.lost(conn, g.session.school_id, number)
    if known is None:
        abort(404)
    return known


def _looked(conn: Connection, number: int) -> dict[str, object]:
    """What every page about one report shows."""
    school_id = g.session.school_id
    seen = service.look(conn, school_id, _one(conn, number))
    goods = meals.naming(conn, school_id, g.language)
    return {
        "seen": seen,
        "lost": seen.lost,
        "force": seen.force,
        "sales": service.sales_of(conn, school_id, number),
        "offered": service.offered(conn, school_id, seen),
        "goods": {place: sentence(goods(lines)) for place, lines in seen.lines.items()},
        "key": hex8,
    }


def _number(text: str) -> int:
    """The number of eight hex digits in an address; nonsense is a page that does not exist."""
    try:
        return parse_hex8(text)
    except Fault:
        abort(404)


def _place(text: str) -> service.Place:
    """`device.epoch.seq` of a form; nonsense is a page that does not exist."""
    device, _dot, rest = text.partition(".")
    epoch, _dot, seq = rest.partition(".")
    if not (epoch.isdecimal() and seq.isdecimal()):
        abort(404)
    return _number(device), int(epoch), int(seq)
