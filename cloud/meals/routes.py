"""Pages of the canteen's manager: the catalogue, one good with its allergens, the menu of a day, files.

Promises: what changes something is a POST with its form's token, under the name that the session was opened
for; a file with one bad line or cell changes nothing and each is shown; no path or name of a user's file is
used.  Leaves every rule to service.py.
"""

from collections.abc import Sequence

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from cloud.csv_file import Applied, parse_table
from cloud.db import begin, lock_school, reading
from cloud.devices import service as devices
from cloud.meals import service
from cloud.meals.reasons import in_language
from protocols import allergens
from protocols.errors import Fault

office = Blueprint("goods", __name__, url_prefix="/office", template_folder="templates")

Answer = Response | tuple[str, int]
UPLOAD_MAX = 1280 * 1024
"""Bytes of a request to the two pages that take files."""
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_AHEAD = 6


@office.before_request
def _only_staff() -> Response | None:
    return redirect(url_for("office_door.show_door")) if g.session is None else None


@office.get("/goods")
def everything() -> str:
    today = g.times.day(g.now)
    with reading(g.site.engine) as conn:
        found = service.catalogue(conn, g.session.school_id)
        outside = service.unchecked_lines(conn, g.session.school_id)
    states = {kept.good_id: kept.state(today) for kept in found}
    order = {service.UNCHECKED: 0, service.NO_PRICE: 1, service.SOLD: 2, service.RETIRED: 3}
    found.sort(key=lambda kept: order[states[kept.good_id]])
    return render_template(
        "meals/goods.html", goods=found, outside=outside, states=states, today=today, meals=service.MEALS
    )


@office.get("/goods/<int:number>")
def one(number: int) -> str:
    return _one(number)


@office.post("/goods/<int:number>")
def check(number: int) -> Answer:
    """The allergens as they are ticked; they count only with an answer for each and the tick that says so."""
    answers = [request.form.get(f"allergen{place}", "") for place in range(len(allergens.ALLERGENS))]
    contains = sum((said == "contains") << place for place, said in enumerate(answers))
    may = sum((said == "may") << place for place, said in enumerate(answers))
    diets = sum(1 << place for place in range(len(allergens.DIETS)) if f"diet{place}" in request.form)
    if not set(answers) <= {"no", "may", "contains"}:
        return _one(number, gettext("Answer for each of the allergens."), answers, diets), 422
    if not request.form.get("checked"):
        words = gettext("Tick that you have checked it: without that nothing is saved.")
        return _one(number, words, answers, diets), 422
    try:
        with begin(g.site.engine) as conn:
            lock_school(conn, g.session.school_id)
            kept = _kept(conn, number)
            if kept is None:
                service.take_over(conn, g.session.school_id, number, g.times.day(g.now), _who(), g.now)
            service.mark_checked(
                conn, g.session.school_id, number,
                contains=contains, may_contain=may, diets=diets, who=_who(), now=g.now,
            )  # fmt: skip
            devices.publish_settings(conn, g.session.school_id, g.now)
    except service.GoodRefused:
        words = gettext("A diet that is ticked cannot be beside these allergens.")
        return _one(number, words, answers, diets), 422
    return redirect(url_for("goods.everything"), 303)


@office.get("/goods/<int:number>/photo")
def photo(number: int) -> Response:
    with reading(g.site.engine) as conn:
        found = service.photo(conn, g.session.school_id, number)
    if found is None:
        abort(404)
    return Response(found[1], mimetype=found[0])


@office.post("/goods/<int:number>/photo")
def add_photo(number: int) -> Answer:
    _name, raw = _file("photo")
    try:
        with begin(g.site.engine) as conn:
            if _kept(conn, number) is None:
                abort(404)
            service.put_photo(conn, g.session.school_id, number, raw, g.now)
    except service.PhotoRefused:
        return _one(
            number, gettext("That is no photo: JPEG or PNG, up to 400 KB and 2400 pixels a side.")
        ), 422
    return redirect(url_for("goods.one", number=number), 303)


@office.get("/menu")
def menu() -> str:
    day = _day(request.args.get("day", ""))
    with reading(g.site.engine) as conn:
        plan = service.plan(conn, g.session.school_id, day)
        week = service.plans(conn, g.session.school_id, range(day, day + _AHEAD))
        goods = {kept.good.code: kept for kept in service.catalogue(conn, g.session.school_id)}
    groups: dict[tuple[str, str], list[service.Line]] = {}
    for line in plan.lines:
        groups.setdefault((line.meal, line.ages), []).append(line)
    return render_template(
        "meals/menu.html", plan=plan, week=week, groups=groups, goods=goods, iso=service.iso, day=day,
        meals=service.MEALS,
    )  # fmt: skip


@office.get("/menu/workbook")
def workbook() -> Response:
    day, ages = _day(request.args.get("day", "")), request.args.get("ages", "")
    try:
        with reading(g.site.engine) as conn:
            name, raw = service.export_workbook(conn, g.session.school_id, day, ages)
    except service.GoodRefused:
        abort(404)
    return Response(raw, mimetype=_SHEET, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@office.post("/menu/clear")
def clear() -> Response:
    day = _day(request.form.get("day", ""))
    with begin(g.site.engine) as conn:
        lock_school(conn, g.session.school_id)
        service.clear_day(conn, g.session.school_id, day)
    return redirect(url_for("goods.menu", day=service.iso(day)), 303)


@office.get("/goods/files")
def files() -> str:
    return render_template("meals/files.html", done=None, file="")


@office.get("/goods/goods.csv")
def export() -> Response:
    with reading(g.site.engine) as conn:
        text = service.export_goods(conn, g.session.school_id)
    return Response(
        "\ufeff" + text,
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="goods.csv"'},
    )


@office.post("/goods/files")
def upload() -> Answer:
    name, raw = _file("file")
    unchecked = bool(request.form.get("unchecked"))
    with begin(g.site.engine) as conn:
        lock_school(conn, g.session.school_id)
        done: Applied
        if name.endswith(".xlsx"):
            _at, done = service.import_workbook(
                conn, g.session.school_id, name, raw, who=_who(), now=g.now
            )  # fmt: skip
        else:
            table = parse_table("goods.csv", raw, service.GOODS_COLUMNS)
            done = service.import_goods(
                conn, g.session.school_id, table, who=_who(), now=g.now, unchecked=unchecked
            )  # fmt: skip
            if done.changed:
                devices.publish_settings(conn, g.session.school_id, g.now)
    problems = [each._replace(reason=in_language(each.reason, g.language)) for each in done.problems]
    page = render_template(
        "meals/files.html", done=done._replace(problems=problems), file=name[:80],
        is_sheet=name.endswith(".xlsx"),
    )  # fmt: skip
    return page, 422 if problems else 200


def _one(number: int, problem: str = "", answers: Sequence[str] = (), chosen: int | None = None) -> str:
    """A good of the catalogue, or a line of the devices' menu that is not in it yet.

    `answers`, `chosen`: what was ticked in a form that could not be saved.
    """
    with reading(g.site.engine) as conn:
        kept = _kept(conn, number)
        lines = service.unchecked_lines(conn, g.session.school_id)
        line = next((each for each in lines if each.good_id == number), None)
        log = service.checks(conn, g.session.school_id, number)
        known = service.catalogue(conn, g.session.school_id)
        names = {each.good.code: each for each in known}
    if kept is None and line is None:
        abort(404)
    return render_template(
        "meals/one.html", kept=kept, line=line, log=log, names=names, problem=problem, number=number,
        today=g.times.day(g.now), allergens=allergens.ALLERGENS, diets=allergens.DIETS, who=_who(),
        meals=service.MEALS, answers=answers, chosen=chosen,
    )  # fmt: skip


def _file(field: str) -> tuple[str, bytes]:
    """What the browser calls a file of the form, and its bytes."""
    given = request.files.get(field)
    if given is None:
        return "", b""
    with given.stream:
        return given.filename or "", given.read()


def _kept(conn: Connection, number: int) -> service.Kept | None:
    found = service.catalogue(conn, g.session.school_id)
    return next((kept for kept in found if kept.good_id == number), None)


def _who() -> str:
    """The name that the one-time link was made for."""
    name: str = g.session.who or "office"
    return name


def _day(text: str) -> int:
    """The day of an address, today for none; nonsense is a page that does not exist."""
    try:
        with reading(g.site.engine) as conn:
            return service.day_or_today(conn, g.session.school_id, text, g.now)
    except Fault:
        abort(404)
