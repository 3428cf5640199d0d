"""What tests of the desk's way into the cloud start from."""

import pytest

from cloud.cards import service as cards
from cloud.db import begin
from scripts import sample_school as sample
from tests.cloud.api.desks import Desk
from tests.fixtures.pages import Pages


@pytest.fixture
def desk(pages: Pages) -> Desk:
    with begin(pages.engine) as conn:
        _made, token = cards.add_desk(conn, pages.site.vault, sample.SCHOOL, "desk-1", pages.clock.now)
    return Desk(pages, token)
