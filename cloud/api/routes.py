"""JSON of a demo: what the tap panel needs to show the way of a tap.

Promises: these addresses exist only in a demo (app.py), and answer only to who
holds the demo's token.  Leaves what is told to service.py.
"""

from typing import Any

from flask import Blueprint, abort, g, request

from cloud.api import service
from cloud.db import reading
from cloud.people import service as people
from protocols.errors import Fault
from protocols.ids import parse_hex8
from protocols.mac import equal

demo = Blueprint("demo", __name__, url_prefix="/demo")


@demo.before_request
def _only_the_panel() -> None:
    wanted = g.site.config.demo_token.encode()
    given = request.headers.get("X-Demo-Token", "").encode("utf-8", "replace")
    if not wanted or not equal(wanted, given):
        abort(404)


@demo.get("/pupils")
def pupils() -> list[dict[str, str]]:
    with reading(g.site.engine) as conn:
        return service.pupils(conn, _school(conn))


@demo.get("/trace")
def trace() -> dict[str, Any]:
    epoch, seq = request.args.get("epoch", type=int), request.args.get("seq", type=int)
    try:
        device_id = parse_hex8(request.args.get("device", ""))
    except Fault:
        abort(400)
    if epoch is None or seq is None or epoch < 0 or seq < 0:
        abort(400)
    with reading(g.site.engine) as conn:
        return service.trace(conn, g.site.vault, _school(conn), device_id, epoch, seq)


def _school(conn: Any) -> int:
    """A demo has one school."""
    known = people.schools(conn)
    if not known:
        abort(404)
    return known[0].school_id
