"""JSON for the desks that issue cards, and for the tap panel of a demo.

Promises: a desk is let in by its own token, and sees its own school; a token that is
none gets 401 and nothing else.  The addresses of the panel exist only in a demo
(app.py), and answer only to who holds the demo's token.  Leaves what is told to
service.py and what is done to cards.service.
"""

from typing import Any

from flask import Blueprint, abort, g, jsonify, request
from werkzeug.wrappers import Response

from cloud.api import service
from cloud.cards import service as cards
from cloud.db import begin, reading
from cloud.people import service as people
from protocols.errors import Fault
from protocols.ids import parse_hex8
from protocols.mac import equal

demo = Blueprint("demo", __name__, url_prefix="/demo")
desk = Blueprint("desk", __name__, url_prefix="/api/desk")
_BEARER = "Bearer "


@desk.before_request
def _only_a_desk() -> None:
    """The token stands in a header that no page of a browser sends by itself, so Origin is not asked for."""
    given = request.headers.get("Authorization", "")
    with reading(g.site.engine) as conn:
        found = cards.desk_of(conn, g.site.vault, given.removeprefix(_BEARER))
    if found is None or not given.startswith(_BEARER):
        abort(401)
    g.desk = found


@desk.post("/cards")
def take_cards() -> dict[str, Any]:
    """`{"operations": [...]}`, see cards/operations.py; `{"results": [{op_id, result, number, text}]}`.

    400 unless the body is such a list of at most BATCH_MAX; then nothing was done.
    """
    told = request.get_json(silent=True)
    operations = told.get("operations") if isinstance(told, dict) else None
    if not isinstance(operations, list) or len(operations) > cards.BATCH_MAX:
        abort(400)
    with begin(g.site.engine) as conn:
        answers = service.take(conn, g.site.vault, g.site.archive, g.desk, operations, g.now)
    return {
        "results": [
            {"op_id": one.op_id, "result": "refused" if one.number else "accepted", "number": one.number,
             "text": one.text}
            for one in answers
        ]
    }  # fmt: skip


@desk.get("/roster")
def roster() -> Response:
    """`{"pupils": [{student, name, class, cards}], "cards": [...]}`: who is at the school, and its cards.

    For `cards` see cards.cards_for_desk; 304 for a desk that names the ETag of what it has.
    """
    with begin(g.site.engine) as conn:
        answer = jsonify(service.roster(conn, g.desk, g.now))
    answer.add_etag()
    return answer.make_conditional(request)


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
