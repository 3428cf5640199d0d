"""An application of local pages: the door before them, and the frame, looks, script and words they share.

Promises: a program finds its own templates and words first, then those of this folder; every page knows its
`language`.  Leaves what stands on a page to the program.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, g, render_template
from flask_babel import Babel
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined

from cloud.formats import DEFAULT_LANGUAGE
from reader_host.local.door import CLOUD, LOCAL, Door


def create_local(name: str, folder: Path, *, port: int, token: str, command: str) -> Flask:
    """The application of one program; `token` is the launch token, `command` printed the address with it."""
    app = Flask(name, root_path=str(folder))
    app.jinja_loader = ChoiceLoader([FileSystemLoader(each / "templates") for each in (folder, LOCAL, CLOUD)])
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.undefined = StrictUndefined
    app.config.update(MAX_CONTENT_LENGTH=16 * 1024)
    Babel(
        app,
        default_locale=DEFAULT_LANGUAGE,
        default_translation_directories=";".join(str(each / "translations") for each in (LOCAL, folder)),
        locale_selector=lambda: g.get("language", DEFAULT_LANGUAGE),
    )
    app.context_processor(lambda: {"language": g.language})
    Door(name, port, token, lambda: render_template("closed.html", command=command)).hang(app)
    return app
