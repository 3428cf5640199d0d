"""Pages of the school's office.  `door` takes a one-time link, `pages` only a staff session.

Promises: the link's address alone changes nothing, pressing the button does; a
page with a name has written its read before it is sent.  Leaves every rule to
service.py and the guards of the site to app.py.
"""

from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cloud.codes import service as codes
from cloud.db import begin, reading, snapshot
from cloud.formats import device_name
from cloud.losses import service as losses
from cloud.office import service
from cloud.records import service as records
from cloud.sessions import service as sessions
from protocols.errors import Fault
from protocols.ids import parse_hex8

door = Blueprint("office_door", __name__, url_prefix="/office", template_folder="templates")
pages = Blueprint("office", __name__, url_prefix="/office", template_folder="templates")

_COOKIE = "kk_staff"


@door.get("/enter")
def show_door() -> str:
    return _door(request.args.get("link", ""))


@door.post("/enter")
def enter() -> Response | tuple[str, int]:
    with begin(g.site.engine) as conn:
        link = codes.use_link(conn, g.site.vault, request.form.get("link", ""), g.now)
        if link is None:
            return _door(""), 403
        token = sessions.start(
            conn,
            g.site.vault,
            kind="staff",
            school_id=link.school_id,
            adult_id=None,
            now=g.now,
            random_bytes=g.site.random_bytes,
            who=link.who,
        )
    answer = redirect(url_for("office.day"), 303)
    answer.set_cookie(
        g.site.cookie(_COOKIE),
        token,
        max_age=sessions.LIMITS["staff"].life_s,
        httponly=True,
        samesite="Strict",
        secure=g.site.is_tls,
    )
    return answer


def _door(link: str) -> str:
    with reading(g.site.engine) as conn:
        is_open = bool(link) and codes.link_is_open(conn, g.site.vault, link, g.now)
    return render_template("office/enter.html", link=link, is_open=is_open)


@pages.before_request
def _only_staff() -> Response | None:
    return redirect(url_for("office_door.show_door")) if g.session is None else None


@pages.get("/")
def day() -> str:
    with reading(g.site.engine) as conn:
        seen = service.day(conn, g.session.school_id, g.times, g.now)
    return render_template("office/day.html", **seen)


@pages.get("/devices")
def devices() -> str:
    with reading(g.site.engine) as conn:
        fleet = service.fleet(conn, g.session.school_id)
        found = service.alarms_of(conn, g.session.school_id)
    return render_template("office/devices.html", **fleet._asdict(), alarms=found)


@pages.get("/devices/<key>")
def device(key: str) -> str:
    with reading(g.site.engine) as conn:
        found = service.device(conn, g.session.school_id, _number(key))
    if found is None:
        abort(404)
    return render_template("office/device.html", **found)


@pages.get("/cards")
def look_alikes() -> str:
    with reading(g.site.engine) as conn:
        groups = service.look_alikes(conn, g.session.school_id)
    return render_template("office/look_alikes.html", groups=groups)


@pages.get("/reconciliation")
def reconciliation() -> str:
    try:
        with snapshot(g.site.engine) as conn:
            today = g.times.day(g.now)
            seen = service.reconciled(conn, g.session.school_id, request.args.get("day", ""), today)
    except ValueError:
        abort(404)
    return render_template("office/reconciliation.html", **seen)


@pages.get("/payouts")
def payouts() -> str:
    with reading(g.site.engine) as conn:
        seen = service.open_payouts(conn, g.session.school_id)
    return render_template("office/payouts.html", **seen)


@pages.get("/records")
@pages.get("/records/<device>")
def latest(device: str = "") -> str:
    device_id = _number(device) if device else None
    before = _before(request.args.get("before", ""))
    with reading(g.site.engine) as conn:
        fleet = service.fleet(conn, g.session.school_id)
        if device_id is not None and device_id not in {one.device_id for one in fleet.devices}:
            abort(404)
        found, older = service.latest(conn, g.session.school_id, device_id, before)
        goods = service.naming(conn, g.session.school_id, g.language)
    return render_template(
        "office/records.html",
        days=service.by_day(found, lambda one: one.at, g.times),
        goods=goods,
        fleet=fleet.devices,
        device=device,
        older=older,
    )


@pages.get("/records/<device>/<int:epoch>/<int:seq>")
def record(device: str, epoch: int, seq: int) -> str:
    reason = request.args.get("reason", "")
    school_id = g.session.school_id
    with begin(g.site.engine) as conn:
        kept = records.one(conn, school_id, _number(device), epoch, seq)
        if kept is None:
            abort(404)
        pupil = None
        if reason and kept.view.account_id:
            pupil = service.pupil(conn, school_id, kept.view.account_id, reason, g.now, g.session.who)
        entries = service.entries_of(conn, school_id, kept)
        goods = service.naming(conn, school_id, g.language)
    return render_template(
        "office/record.html", kept=kept, entries=entries, pupil=pupil, good=goods(kept.lines)
    )


@pages.get("/find")
def ask() -> str:
    return render_template("office/find.html", text="", reason="", pupils=[], more=False)


@pages.post("/find")
def find() -> str | Response:
    text, reason = request.form.get("q", "")[:60], request.form.get("reason", "")
    found: list[Any] = []
    more = False
    if text.strip():
        with begin(g.site.engine) as conn:
            labels = [one.label for one in service.fleet(conn, g.session.school_id).devices]
            names = {label: device_name(label, g.language).replace("\u00a0", " ") for label in labels}
            kept = service.record_meant(conn, g.session.school_id, text, names)
            if kept is None:
                found, more = service.search(conn, g.session.school_id, text, reason, g.now, g.session.who)
        if kept is not None:
            return redirect(
                url_for("office.record", device=kept.device_key, epoch=kept.epoch, seq=kept.seq), 303
            )
    return render_template("office/find.html", text=text, reason=reason, pupils=found, more=more)


@pages.get("/pupils/<account>")
def pupil(account: str) -> str:
    account_id = _number(account)
    with begin(g.site.engine) as conn:
        reason = request.args.get("reason", "")
        found = service.pupil(conn, g.session.school_id, account_id, reason, g.now, g.session.who)
        if found is None:
            abort(404)
        days = service.days_of_pupil(conn, g.session.school_id, account_id, g.times, g.now)
        cards = losses.cards_of(conn, g.session.school_id, [account_id])[account_id]
    return render_template("office/pupil.html", pupil=found, days=days, cards=cards)


@pages.get("/more")
def more() -> str:
    with reading(g.site.engine) as conn:
        reads = service.reads(conn, g.session.school_id)
    return render_template("office/more.html", reads=reads)


@pages.post("/sign-out")
def sign_out() -> Response:
    with begin(g.site.engine) as conn:
        sessions.end(conn, g.session, g.now)
    answer = redirect(url_for("office_door.show_door"), 303)
    answer.delete_cookie(g.site.cookie(_COOKIE), secure=g.site.is_tls, httponly=True, samesite="Strict")
    return answer


def _number(text: str) -> int:
    """The number of eight hex digits in an address; nonsense is a page that does not exist."""
    try:
        return parse_hex8(text)
    except Fault:
        abort(404)


def _before(text: str) -> tuple[int, int] | None:
    epoch, dot, seq = text.partition(".")
    return (int(epoch), int(seq)) if dot and epoch.isdecimal() and seq.isdecimal() else None
