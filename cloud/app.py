"""The web of the cloud: one factory that puts the blueprints, the guards and the words together.

Promises: a page is served to our own host names only, changes come from our own
origin with a token, no script runs that is not a file of ours, each failure is
told in the reader's language with what to do next.  Leaves pages to the routes of
each feature and every rule to the services.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, jsonify, redirect, render_template, request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from jinja2 import StrictUndefined
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter, Map
from werkzeug.wrappers import Response as AnyResponse

from cloud import formats, guards
from cloud.api import routes as api
from cloud.archive import Archive
from cloud.config import Config, ConfigError
from cloud.db import begin, engine, reading
from cloud.keys import Vault
from cloud.losses import routes as losses
from cloud.meals import routes as meals
from cloud.office import routes as office
from cloud.parents import routes as parents
from cloud.people import service as people
from cloud.sessions import service as sessions
from cloud.site import Site

_ROOT = Path(__file__).parent
_YEAR_S = 365 * 86400
LANGUAGE_COOKIE = "kk_language"
# Requests from one address; the caps for each phone stand in codes.service.
ADDRESS_LIMITS = {
    "door.send_code": "10 per minute; 30 per hour",
    "door.try_code": "30 per minute; 120 per hour",
    "office_door.enter": "10 per minute; 60 per hour",
    # Each makes new tables for every device of the school.
    "family_cards.block": "10 per minute; 60 per hour",
    "family_cards.found": "10 per minute; 60 per hour",
    # A desk sends what waited for days in batches, one after the other.
    "desk.take_cards": "240 per minute",
    "desk.roster": "30 per minute",
}
KINDS = {
    "parents": "parent", "door": "parent", "family_cards": "parent",
    "office": "staff", "office_door": "staff", "lost_cards": "staff", "goods": "staff",
}  # fmt: skip
"""Whose session the pages of a blueprint belong to."""
# Pages that take files; everything else is a form.
LARGE = {"goods.upload": meals.UPLOAD_MAX, "goods.add_photo": meals.UPLOAD_MAX}


class _Number(IntegerConverter):
    """A number of an address that a column holds; a longer one is an address that does not exist."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=(1 << 63) - 1)


def create_app(
    config: Config,
    *,
    now: Callable[[], int] = lambda: int(time.time()),
    random_bytes: Callable[[int], bytes] = os.urandom,
    sleep: Callable[[float], None] = time.sleep,
) -> Flask:
    """The web application over one data folder.

    ConfigError when the settings would show pages without TLS to a network, or
    when the translations were not compiled (scripts/setup does that).
    """
    _check_address(config)
    kept = Vault(config.keys_dir), Archive(config.archive_dir)
    site = Site(config, engine(config.database_url), *kept, now, random_bytes, sleep)
    app = Flask("cloud", root_path=str(_ROOT), static_folder="static", template_folder="templates")
    app.url_map.converters["int"] = _Number
    app.config.update(
        SECRET_KEY=site.vault.mac("flask session", b""),
        SESSION_COOKIE_NAME=site.cookie("kk_form"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=site.is_tls,
        MAX_CONTENT_LENGTH=64 * 1024,
        WTF_CSRF_TIME_LIMIT=None,
        # Our own check of Origin covers what flask-wtf would read from Referer.
        WTF_CSRF_SSL_STRICT=False,
        RATELIMIT_STORAGE_URI="memory://",
        RATELIMIT_HEADERS_ENABLED=False,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.filters.update(sentence=formats.sentence, is_known_time=formats.is_known_time)
    app.extensions["site"] = site
    app.before_request(_refuse_strangers)
    app.before_request(_prepare)
    _add_language(app)
    CSRFProtect(app).exempt(api.desk)
    _add_blueprints(app)
    _add_limits(app)
    _add_words(app)
    _add_errors(app)
    app.after_request(_finish)
    return app


def serve_options(config: Config) -> dict[str, object]:
    """What waitress is started with: where to listen, and whom to believe about the caller's address."""
    options: dict[str, object] = {
        "host": config.web_host,
        "port": config.web_port,
        "threads": 8,
        "ident": None,
    }
    if config.web_url:
        options |= {
            "trusted_proxy": "127.0.0.1",
            "trusted_proxy_headers": "x-forwarded-for x-forwarded-proto",
            "clear_untrusted_proxy_headers": True,
        }
    return options


def _check_address(config: Config) -> None:
    if config.web_url and urlsplit(config.web_url).scheme != "https":
        raise ConfigError(f"web_url: {config.web_url} must start with https://")
    if guards.host_name(config.web_host) not in guards.LOOPBACK and not config.web_url:
        raise ConfigError(
            f"web_host: {config.web_host} is not loopback, so web_url must name an https address"
        )


def _refuse_strangers() -> Response | None:
    config = _site().config
    if not guards.is_our_host(request.host, config.web_url, config.web_host):
        return Response("unknown host\n", 421, mimetype="text/plain")
    if request.blueprint == api.desk.name:
        return None  # let in by its token alone
    if request.method not in ("GET", "HEAD", "OPTIONS") and not guards.is_our_origin(
        request.headers.get("Origin"), request.host, config.web_url
    ):
        return Response("foreign origin\n", 403, mimetype="text/plain")
    return None


def _prepare() -> None:
    """Language, session and school of the request, for the routes and templates."""
    g.site = site = _site()
    g.now = site.now()
    if request.endpoint in LARGE:
        request.max_content_length = LARGE[request.endpoint]
    wanted = request.cookies.get(LANGUAGE_COOKIE, "")
    g.language = wanted if wanted in formats.LANGUAGES else formats.DEFAULT_LANGUAGE
    g.session = g.school = None
    g.times = formats.SchoolTime("UTC", g.language)
    kind = KINDS.get(request.blueprint or "")
    token = request.cookies.get(site.cookie(f"kk_{kind}"), "")
    if kind is None or not token:
        return
    with reading(site.engine) as conn:
        found = sessions.find(conn, site.vault, kind, token, g.now)
        if found is None:
            return
        g.session, g.school = found, people.school(conn, found.school_id)
    g.times = formats.SchoolTime(g.school.time_zone, g.language)
    # A page that renews itself is no sign that somebody still sits before it (pages.js).
    if sessions.needs_touch(found, g.now) and "X-Renew" not in request.headers:
        with begin(site.engine) as conn:
            sessions.touch(conn, found, g.now)


def _add_language(app: Flask) -> None:
    folder = _ROOT / "translations"
    if not (folder / "ru" / "LC_MESSAGES" / "messages.mo").exists():
        raise ConfigError(f"{folder}: not compiled, run scripts/setup")
    Babel(
        app,
        default_locale=formats.DEFAULT_LANGUAGE,
        default_translation_directories=str(folder),
        locale_selector=lambda: g.get("language", formats.DEFAULT_LANGUAGE),
    )

    @app.post("/language")
    def choose_language() -> AnyResponse:
        language = request.form.get("language", "")
        target = request.form.get("next", "/")
        answer = redirect(target if guards.is_our_path(target) else "/", 303)
        if language in formats.LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=_YEAR_S,
                httponly=True,
                samesite="Lax",
                secure=_site().is_tls,
            )
        return answer


def _add_blueprints(app: Flask) -> None:
    family, staff = (
        (parents.door, parents.pages, losses.parents),
        (office.door, office.pages, losses.office, meals.office),
    )
    for blueprint in (*family, *staff, api.desk):
        app.register_blueprint(blueprint)
    if _site_of(app).config.demo:
        app.register_blueprint(api.demo)


def _add_limits(app: Flask) -> None:
    limiter = Limiter(get_remote_address, app=app)
    for name, limit in ADDRESS_LIMITS.items():
        app.view_functions[name] = limiter.limit(limit)(app.view_functions[name])  # type: ignore[assignment]


def _add_words(app: Flask) -> None:
    """What templates call to write amounts and names; the rest of the formats is `times`."""

    @app.context_processor
    def words() -> dict[str, object]:
        language = g.get("language", formats.DEFAULT_LANGUAGE)
        school = g.get("school")
        currency = school.currency if school else "RUB"
        return {
            "language": language,
            "times": g.get("times"),
            "now": g.get("now"),
            "signed_in": g.get("session"),
            "school": school,
            "money": lambda minor, plus=False: formats.money(minor, currency, language, plus=plus),
            "number": lambda value: formats.count(value, language),
            "device_name": lambda label: formats.device_name(label, language),
            "class_name": lambda name: formats.class_name(name, language),
        }


def _add_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response | str, int] | HTTPException:
        status = error.code or 500
        if status < 400:
            return error
        return _error_page(status)

    @app.errorhandler(DBAPIError)
    def store_failed(error: DBAPIError) -> tuple[Response | str, int]:
        app.logger.error("store: %s", type(error.orig).__name__)  # the text may carry data
        return _error_page(503)


def _error_page(status: int) -> tuple[Response | str, int]:
    if request.path.startswith(("/demo/", "/api/")):
        return jsonify(error=status), status
    if "now" not in g:
        _prepare()
    home = "/office" if request.path.startswith("/office") else "/"
    return render_template("error.html", status=status, home=home), status


def _finish(answer: Response) -> Response:
    for name, value in guards.HEADERS.items():
        answer.headers[name] = value
    if _site().is_tls:
        answer.headers.update(guards.TLS_HEADERS)
    if request.endpoint != "static":
        answer.headers["Cache-Control"] = "no-store"
    return answer


def _site_of(app: Flask) -> Site:
    found: Site = app.extensions["site"]
    return found


def _site() -> Site:

    return _site_of(current_app)
