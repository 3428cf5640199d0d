"""What tests of pages share: signed-in browsers, the list of pages and their states, how to measure them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import update

from cloud import db
from cloud.codes import service as codes
from cloud.db import begin
from protocols.ids import hex8
from scripts import sample_school as sample
from tests.fixtures.pages import Pages

MASHA = hex8(sample.MASHA)
LINE_1, GATE_1 = hex8(sample.LINE_1), hex8(sample.GATE_1)


@dataclass(frozen=True)
class View:
    """A page in a state: whose it is (`kind`: door, parent, staff), and where."""

    name: str
    path: str
    kind: str = "parent"
    adult_id: int = 1
    open_first: bool = False
    search_for: str = ""


VIEWS = (
    View("sign in", "/sign-in", "door"),
    View("office door, shut", "/office/enter", "door"),
    View("no such page", "/nothing", "door"),
    View("today", "/"),
    View("today, child has left", "/", adult_id=2),
    View("today, long names", "/", adult_id=3),
    View("today, no children", "/", adult_id=4),
    View("money, opened line", f"/money/{MASHA}", open_first=True),
    View("money, long names", "/money", adult_id=3),
    View("money, many days", "/money", adult_id=2),
    View("entry", f"/money/{MASHA}/67"),
    View("more", "/more"),
    View("office day", "/office/", "staff"),
    View("devices", "/office/devices", "staff"),
    View("reconciliation", "/office/reconciliation", "staff"),
    View("reconciliation that agrees", "/office/reconciliation?day=2026-05-04", "staff"),
    View("reconciliation that differs", "/office/reconciliation?day=2026-06-01", "staff"),
    View("records", "/office/records", "staff"),
    View("record", f"/office/records/{LINE_1}/1/6", "staff"),
    View("record with a name", f"/office/records/{GATE_1}/1/8?reason=record", "staff"),
    View("found pupils", "/office/find", "staff", search_for="Леб"),
    View("found nothing", "/office/find", "staff", search_for="zz"),
    View("pupil", f"/office/pupils/{MASHA}?reason=other", "staff"),
    View("office more", "/office/more", "staff"),
)


@dataclass
class Surfer:
    """Opens views of one server in a real browser, each kind of visitor in a context of its own."""

    browser: Browser
    pages: Pages
    address: str
    errors: list[str] = field(default_factory=list)

    def context(
        self, kind: str, *, adult_id: int = 1, language: str = "ru", **options: Any
    ) -> BrowserContext:
        """A browser of a visitor who is signed in (or not: `door`)."""
        settings = {"viewport": {"width": 360, "height": 800}, "locale": "ru-RU"} | options
        context = self.browser.new_context(**settings)
        context.set_default_timeout(10_000)
        cookies = [{"name": "kk_language", "value": language, "url": self.address}]
        if kind != "door":
            token = self.pages.token(kind, adult_id if kind == "parent" else None)
            cookies.append({"name": f"kk_{kind}", "value": token, "url": self.address})
        context.add_cookies(cookies)  # type: ignore[arg-type]
        return context

    def walk(self, *kinds: str, **options: Any) -> Iterator[tuple[View, Page]]:
        """All views of these kinds of visitors, one after the other; one browser for each visitor."""
        at_work: dict[tuple[str, int], Page] = {}
        for view in VIEWS:
            if view.kind in kinds:
                visitor = view.kind, view.adult_id
                if visitor not in at_work:
                    context = self.context(view.kind, adult_id=view.adult_id, **options)
                    at_work[visitor] = self.new_page(context)
                yield view, self.show(at_work[visitor], view)

    def new_page(self, context: BrowserContext) -> Page:
        """A page whose errors count."""
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._listen)
        return page

    def show(self, page: Page, view: View) -> Page:
        """The view in its state, in a small phone's window."""
        page.set_viewport_size({"width": 360, "height": 800})
        page.goto(self.address + view.path)
        if view.open_first:
            page.locator("summary").first.click()
        if view.search_for:
            page.locator("#q").fill(view.search_for)
            page.locator("#q").press("Enter")
            page.locator("main section h2").wait_for()
        return page

    def _listen(self, message: Any) -> None:
        """What a policy forbade is an error too; that a page does not exist is not."""
        if message.type == "error" and "404" not in message.text:
            self.errors.append(message.text)


def overflow(page: Page) -> int:
    """How many CSS pixels the page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def small_targets(page: Page, least: int) -> list[str]:
    """Buttons, links and fields that are smaller than `least` px; links inside a sentence are let be."""
    found: list[str] = page.evaluate(
        """(least) => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')]
          .filter((node) => !node.classList.contains('skip') && node.getClientRects().length)
          .map((node) => [node, node.getBoundingClientRect()])
          .filter(([node, box]) => box.height < least - 0.5 || box.width < least - 0.5)
          .map(([node, box]) => `${node.tagName} ${node.textContent.trim()} ${box.width}x${box.height}`)""",
        least,
    )
    return found


def office_link(pages: Pages) -> str:
    """A fresh link for the office's door."""
    with begin(pages.engine) as conn:
        return codes.new_link(conn, pages.site.vault, sample.SCHOOL, pages.clock.now)


def all_online(pages: Pages) -> None:
    """Every device answers, nothing was refused."""
    with begin(pages.engine) as conn:
        conn.execute(update(db.device).values(online=1))
        conn.execute(db.device_refusal.delete())
