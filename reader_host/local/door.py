"""The door of a local page: who may look at it, and the headers and shared files it comes with.

Promises: it answers only to its own Host, takes a form only from its own Origin, opens only by the launch
token of its first address (then by a SameSite=Strict cookie), answers no other origin, and runs no script
that is not a file.  Colours and shapes are the cloud's own style sheets.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response, abort, g, redirect, request, send_from_directory
from werkzeug.wrappers import Response as AnyResponse

from cloud import guards
from cloud.formats import DEFAULT_LANGUAGE, LANGUAGES

LOCAL = Path(__file__).resolve().parent
CLOUD = LOCAL.parents[1] / "cloud"
_SHARED = {"tokens.css": CLOUD, "pages.css": CLOUD, "icon.svg": CLOUD, "local.css": LOCAL, "local.js": LOCAL}
LANGUAGE_COOKIE = "kk_language"  # the cloud's own: cookies of one host do not tell its ports apart
_OPEN = ("static", "shared")


class Door:
    """Guards one application on one port; `closed` renders the page for who has no token."""

    def __init__(self, name: str, port: int, token: str, closed: Callable[[], str]) -> None:
        self._token = token
        self._closed = closed
        self._pass = secrets.token_urlsafe(32)
        self._cookie = f"kk_{name}_{port}"
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    def __repr__(self) -> str:
        return f"Door({self._cookie})"

    def hang(self, app: Flask) -> None:
        """Put the guards, the language and the shared files into an application."""
        app.before_request(self._refuse_strangers)
        app.after_request(self._finish)
        app.add_url_rule("/language", view_func=_choose_language, methods=["POST"], endpoint="language")
        app.add_url_rule("/shared/<name>", view_func=_shared, endpoint="shared")

    def _refuse_strangers(self) -> Response | None:
        """Exact Host, exact Origin, and the token or the cookie; a style sheet needs no cookie."""
        wanted = request.cookies.get(LANGUAGE_COOKIE, "")
        g.language = wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE
        if request.host.lower() not in self._hosts:
            return Response("unknown host\n", 421, mimetype="text/plain")
        is_form = request.method not in ("GET", "HEAD")
        if is_form and request.headers.get("Origin") != f"http://{request.host}":
            return Response("foreign origin\n", 403, mimetype="text/plain")
        if request.endpoint in _OPEN or self._is_let_in():
            return None
        return Response(self._closed(), 403, mimetype="text/html")

    def _is_let_in(self) -> bool:
        token, cookie = request.args.get("token", ""), request.cookies.get(self._cookie, "")
        g.is_launch = secrets.compare_digest(token.encode(), self._token.encode())
        return g.is_launch or secrets.compare_digest(cookie.encode(), self._pass.encode())

    def _finish(self, answer: Response) -> Response:
        """Headers of every answer; the launch token is exchanged for the cookie."""
        for name, value in guards.HEADERS.items():
            answer.headers[name] = value
        if request.endpoint not in _OPEN:
            answer.headers["Cache-Control"] = "no-store"
        if g.get("is_launch"):
            answer.set_cookie(self._cookie, self._pass, httponly=True, samesite="Strict")
        return answer


def _choose_language() -> AnyResponse:
    """Russian or English, kept in the cloud's own cookie."""
    target = request.form.get("next", "/")
    answer = redirect(target if guards.is_our_path(target) else "/", 303)
    language = request.form.get("language", "")
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86400, httponly=True, samesite="Lax")
    return answer


def _shared(name: str) -> Response:
    """What all local pages have in common, the cloud's style sheets first: there is one source of colours."""
    if name not in _SHARED:
        abort(404)
    return send_from_directory(_SHARED[name] / "static", name, max_age=3600)
