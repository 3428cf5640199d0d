"""A real browser in front of the pages of a sample school."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.surfer import Surfer
from tests.fixtures.pages import Pages


@pytest.fixture
def surfer(chromium: Browser, pages: Pages, serve: Callable[[], str]) -> Iterator[Surfer]:
    """A surfer whose pages raised no error of a script or of the content policy."""
    made = Surfer(chromium, pages, serve())
    yield made
    for context in chromium.contexts:
        context.close()
    assert not made.errors
