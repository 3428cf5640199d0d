"""Makes the pictures of the documents from the running product: pages of a sample school in a real browser.

    python scripts/screenshots.py               writes docs/images
    python scripts/screenshots.py --out DIR     writes somewhere else, to look at first

Promises: the same pages give the same pictures, each under 150 KB; nothing is drawn by hand.  Leaves the
sample school to sample_school.py and the looks to the stylesheets.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

import click  # noqa: E402 - only after the path is right
from flask import Flask  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

from cloud.app import create_app  # noqa: E402
from cloud.db import begin  # noqa: E402
from cloud.sessions import service as sessions  # noqa: E402
from protocols.ids import hex8  # noqa: E402
from reader_host.desk import bench as benches  # noqa: E402
from scripts import sample_desk, sample_goods, sample_lost  # noqa: E402
from scripts import sample_school as sample  # noqa: E402

BYTES_MAX = 150 * 1024
PHONE, DESKTOP = (360, 760), (1280, 800)


class Shot(NamedTuple):
    """A picture: its file's name, the page, who looks (`parent`, `staff` or nobody) and how."""

    name: str
    path: str
    kind: str = "parent"
    size: tuple[int, int] = PHONE
    language: str = "ru"
    theme: str = "light"
    opened: bool = False
    sharpness: float = 2


MONEY = f"/money/{hex8(sample.MASHA)}"
SHOTS = (
    Shot("sign-in-ru", "/sign-in", kind=""),
    Shot("parents-today-ru", "/", size=(360, 836)),
    Shot("parents-today-dark-en", "/", size=(360, 836), language="en", theme="dark"),
    Shot("parents-money-ru", MONEY, opened=True),
    Shot("parents-record-ru", f"{MONEY}/67", size=(360, 1240), sharpness=1.3),
    Shot("parents-wide-en", "/", size=DESKTOP, language="en", sharpness=1),
    Shot("office-day-ru", "/office/", kind="staff", size=DESKTOP, sharpness=1),
    Shot("office-devices-en", "/office/devices", kind="staff", size=DESKTOP, language="en", sharpness=1),
    Shot("office-reconciliation-ru", "/office/reconciliation", kind="staff", size=(1280, 1420), sharpness=1),
    Shot("office-records-ru", "/office/records", kind="staff"),
)
# On the day a card is lost, 18 minutes later.
LOST_SHOTS = (
    Shot("lost-card-ru", "/lost/1"),
    Shot("lost-card-office-ru", "/office/lost/1", kind="staff", size=(1280, 1100), sharpness=1),
)
# With a kitchen.
GOODS_SHOTS = (
    Shot("goods-ru", "/office/goods", kind="staff", size=(1280, 1180), sharpness=1),
    Shot("goods-one-ru", "/office/goods/6", kind="staff", size=(360, 1100), sharpness=1.3),
    Shot("goods-menu-ru", "/office/menu", kind="staff", size=(360, 900), sharpness=1.3),
)
_DESK = f"?token={sample_desk.TOKEN}"
# What lies on the reader of the sample desk, and the picture.
DESK_SHOTS = (
    (benches.SEEN, Shot("desk-one-ru", f"/{_DESK}", kind="", size=DESKTOP, sharpness=1)),
    (benches.DONE, Shot("desk-row-ru", f"/row{_DESK}", kind="", size=DESKTOP, sharpness=1)),
    (
        benches.PUT_BACK,
        Shot("desk-back-en", f"/{_DESK}", kind="", size=(1024, 600), language="en", sharpness=1),
    ),
)


@contextmanager
def running(app: Flask) -> Iterator[str]:
    """A server on loopback for as long as it is needed; gives its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def cookies(app: Flask, address: str, shot: Shot) -> list[dict[str, str]]:
    """The language and, for somebody who is signed in, a session."""
    made = [{"name": "kk_language", "value": shot.language, "url": address}]
    if shot.kind:
        site = app.extensions["site"]
        with begin(site.engine) as conn:
            token = sessions.start(
                conn, site.vault, kind=shot.kind, school_id=sample.SCHOOL,
                adult_id=1 if shot.kind == "parent" else None, now=sample.NOW, random_bytes=os.urandom,
            )  # fmt: skip
        made.append({"name": f"kk_{shot.kind}", "value": token, "url": address})
    return made


def take(browser: Browser, signed: list[dict[str, str]], address: str, shot: Shot, folder: Path) -> None:
    """One picture, sharp enough for a phone's, small enough for a repository."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=shot.sharpness,
        color_scheme="dark" if shot.theme == "dark" else "light",
        has_touch=width < 700,
    )
    context.add_cookies(signed)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address + shot.path)
    if shot.opened:
        page.locator("summary").first.click()
    path = folder / f"{shot.name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    context.close()
    if path.stat().st_size > BYTES_MAX:
        raise click.ClickException(f"{path.name} has {path.stat().st_size} bytes, at most {BYTES_MAX}")
    click.echo(f"{path.name} {path.stat().st_size // 1024} KB")


def chromium_path() -> str:
    """The system's browser; none is downloaded."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        raise click.ClickException("chromium is missing: run scripts/test, or: sudo apt-get install chromium")
    return found


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "images", help="Where the pictures go."
)
def screenshots(out: Path) -> None:
    """Make the pictures of the documents."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        config = sample.make(Path(folder) / "data")
        app = create_app(config, now=lambda: sample.NOW)
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        with running(app) as address:
            for shot in SHOTS:
                take(browser, cookies(app, address, shot), address, shot, out)
        site = app.extensions["site"]
        sample_goods.cook(site.engine)
        with running(app) as address:
            for shot in GOODS_SHOTS:
                take(browser, cookies(app, address, shot), address, shot, out)
        sample_lost.lose(site.engine, site.vault, site.archive)
        later = create_app(config, now=lambda: sample_lost.LATER)
        with running(later) as address:
            for shot in LOST_SHOTS:
                take(browser, cookies(later, address, shot), address, shot, out)
        later.extensions["site"].engine.dispose()
        with sample_desk.served(sample.NOW) as (address, desk):
            for step, shot in DESK_SHOTS:
                desk.lie(step)
                take(browser, cookies(app, address, shot), address, shot, out)
        browser.close()
        app.extensions["site"].engine.dispose()


if __name__ == "__main__":
    screenshots()
