"""Pages of parents.  `door` is open to anybody, `pages` only to a signed-in parent.

Promises: a phone that no school knows gets the same pages as one that a school
knows; a child of another family is a page that does not exist.  Leaves every rule
to service.py and the guards of the site to app.py.
"""

import time

from flask import Blueprint, abort, g, redirect, render_template, request, session, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as AnyResponse

from cloud import formats
from cloud.codes import service as codes
from cloud.db import begin, reading
from cloud.parents import service
from cloud.sessions import service as sessions
from protocols.errors import Fault
from protocols.ids import parse_hex8

door = Blueprint("door", __name__, template_folder="templates")
pages = Blueprint("parents", __name__, template_folder="templates")

_BROWSER_COOKIE = "kk_browser"
_SESSION_COOKIE = "kk_parent"
_PHONE = "phone"
# Every request for a code is answered at this moment: a known phone costs more work, and nobody may see it.
_CODE_ANSWER_S = 0.3


# The door.


@door.get("/sign-in")
def sign_in() -> str | AnyResponse:
    if g.session is not None:
        return redirect(url_for("parents.today"))
    return render_template("parents/sign_in.html", phone="", problem="")


@door.post("/sign-in")
def send_code() -> tuple[str, int] | AnyResponse:
    text = request.form.get("phone", "")[:40]
    phone = _phone_asked() if request.form.get("again") else service.normal_phone_or_none(text)
    if not phone:
        problem = gettext("Enter a phone number, like +7 912 345-67-89")
        return render_template("parents/sign_in.html", phone=text, problem=problem), 422
    browser = request.cookies.get(g.site.cookie(_BROWSER_COOKIE)) or g.site.random_bytes(16).hex()
    started = time.monotonic()
    with begin(g.site.engine) as conn:
        asked = service.send_code(conn, g.site.vault, phone, browser, g.now)
    g.site.answer_at(started, _CODE_ANSWER_S)
    if asked.state == codes.TOO_MANY:
        problem = gettext("No more codes for this number today. Try tomorrow, or ask the school.")
        return render_template("parents/sign_in.html", phone=text, problem=problem), 429
    if asked.state == codes.PAUSED:
        return render_template("parents/sign_in.html", phone=text, problem=_paused()), 429
    if asked.state == codes.TOO_SOON and phone != _phone_asked():
        # Asked a moment ago from another browser: that code does not work here, say when one can be had.
        return render_template("parents/sign_in.html", phone=text, problem=_too_soon(asked.wait_s)), 429
    session[_PHONE] = service.sealed_phone(g.site.vault, phone)
    answer = redirect(url_for("door.code"), 303)
    _set_cookie(answer, _BROWSER_COOKIE, browser, codes.CODE_LIFE_S * 2)
    return answer


@door.get("/sign-in/code")
def code() -> str | AnyResponse:
    if g.session is not None:
        return redirect(url_for("parents.today"))
    if not _phone_asked():
        return redirect(url_for("door.sign_in"))
    return _code_page("")


@door.post("/sign-in/code")
def try_code() -> tuple[str, int] | AnyResponse:
    phone = _phone_asked()
    browser = request.cookies.get(g.site.cookie(_BROWSER_COOKIE), "")
    if not phone or not browser:
        return redirect(url_for("door.sign_in"), 303)
    digits = "".join(character for character in request.form.get("code", "") if character in "0123456789")
    with begin(g.site.engine) as conn:
        entered = service.enter(conn, g.site.vault, phone, browser, digits, g.now, g.site.random_bytes)
    if entered.token:
        session.clear()
        answer = redirect(url_for("parents.today"), 303)
        _set_cookie(answer, _SESSION_COOKIE, entered.token, sessions.LIMITS["parent"].life_s)
        answer.delete_cookie(
            g.site.cookie(_BROWSER_COOKIE), secure=g.site.is_tls, httponly=True, samesite="Lax"
        )
        return answer
    return _code_page(_code_problem(entered.tried)), 422


def _code_page(problem: str) -> str:
    phone = _phone_asked()
    with reading(g.site.engine) as conn:
        wait_s = codes.wait_s(conn, g.site.vault, phone, g.now)
    spool = str(g.site.config.spool_dir) if g.site.config.demo else ""
    return render_template(
        "parents/code.html",
        problem=problem,
        hidden_phone=formats.hidden_phone(phone),
        wait_s=wait_s,
        spool=spool,
    )


def _code_problem(tried: codes.Tried) -> str:
    if tried.state == codes.WRONG and tried.tries_left:
        return ngettext("No match. %(num)d try left", "No match. %(num)d tries left", tried.tries_left)
    if tried.state == codes.WRONG:
        return gettext("No match. Ask for a new code")
    if tried.state == codes.TOO_MANY:
        return gettext("No more tries for this number today. Try tomorrow, or ask the school.")
    if tried.state == codes.PAUSED:
        return _paused()
    return gettext("This code has ended. Ask for a new one")


def _paused() -> str:
    return gettext("Signing in rests for 10 minutes: too many wrong codes came. Your account is safe.")


def _too_soon(wait_s: int) -> str:
    return ngettext(
        "A code was sent a moment ago. Another can be sent in %(num)d second",
        "A code was sent a moment ago. Another can be sent in %(num)d seconds",
        wait_s,
    )


def _phone_asked() -> str:
    """The phone this browser gave, kept sealed in its own cookie."""
    return service.opened_phone(g.site.vault, session.get(_PHONE, ""))


def _set_cookie(answer: AnyResponse, name: str, value: str, max_age: int) -> None:
    answer.set_cookie(
        g.site.cookie(name),
        value,
        max_age=max_age,
        httponly=True,
        samesite="Lax",
        secure=g.site.is_tls,
        path="/",
    )


# The pages.


@pages.before_request
def _only_parents() -> AnyResponse | None:
    return redirect(url_for("door.sign_in")) if g.session is None else None


@pages.get("/")
def today() -> str:
    with reading(g.site.engine) as conn:
        children = service.today(conn, g.session.school_id, g.session.adult_id, g.times, g.now)
    return render_template("parents/today.html", children=children)


@pages.get("/money")
@pages.get("/money/<account>")
def money(account: str = "") -> str:
    before = request.args.get("before", type=int)
    with reading(g.site.engine) as conn:
        page = service.money(
            conn, g.session.school_id, g.session.adult_id, _account(account), g.times, before=before
        )
    if page is None:
        abort(404)
    return render_template("parents/money.html", is_newest=before is None, **page._asdict())


@pages.get("/money/<account>/<int:entry_id>")
def entry(account: str, entry_id: int) -> str:
    with reading(g.site.engine) as conn:
        found = service.entry(
            conn, g.session.school_id, g.session.adult_id, _account(account), entry_id, g.times
        )
    if found is None:
        abort(404)
    child, explained = found
    return render_template("parents/entry.html", child=child, entry=explained)


@pages.get("/more")
def more() -> str:
    with reading(g.site.engine) as conn:
        open_sessions = sessions.of_adult(conn, g.session.school_id, g.session.adult_id, g.now)
    open_sessions.sort(key=lambda one: one.handle != g.session.handle)  # this browser first
    return render_template("parents/more.html", sessions=open_sessions)


@pages.post("/sign-out")
def sign_out() -> AnyResponse:
    with begin(g.site.engine) as conn:
        sessions.end(conn, g.session, g.now)
    session.clear()
    answer = redirect(url_for("door.sign_in"), 303)
    answer.delete_cookie(g.site.cookie(_SESSION_COOKIE), secure=g.site.is_tls, httponly=True, samesite="Lax")
    return answer


@pages.post("/sign-out-others")
def sign_out_others() -> AnyResponse:
    with begin(g.site.engine) as conn:
        sessions.end_others(conn, g.session, g.now)
    return redirect(url_for("parents.more"), 303)


def _account(text: str) -> int | None:
    """The account number in an address, None for no number at all; nonsense is a page that does not exist."""
    if not text:
        return None
    try:
        return parse_hex8(text)
    except Fault:
        abort(404)
