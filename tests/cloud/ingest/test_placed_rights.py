"""Rights that a table placed at a till before their pupil ever came there can be recalled all the same."""

import pytest
from sqlalchemy import Engine

from protocols.ledger import record
from protocols.wire import envelope
from tests.cloud.ingest.peer import World


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path, money=40_000)
    made.handle(made.line.state(True), made.other.state(True), made.line.hello(1), made.other.hello(1))
    yield made
    made.check_books()


def test_recall_brings_its_grant_along(world: World) -> None:
    """The till learns of the placed rights before it is asked to return some of them."""
    account = world.of_line(world.line)[0]
    out = world.handle(world.other.need(account, 14_000))
    told = [kind for kind, _ in world.line.opened(out) if kind in (envelope.GRANT, envelope.RECALL)]
    assert told == [envelope.GRANT, envelope.RECALL]
    assert world.other.told(out, envelope.ANSWER) == []


def test_return_without_grant_is_no_answer(world: World) -> None:
    """A till that had not heard of its grant is asked again, and the card keeps waiting meanwhile."""
    account = world.of_line(world.line)[0]
    need = world.other.need(account, 14_000, number=7)
    world.handle(need)
    world.line.write(record.RETURN, account=account, amount=0)
    out = world.handle(*world.line.all_recs())
    assert world.other.told(out, envelope.ANSWER) == []
    again = world.handle(world.other.need(account, 14_000, number=7))
    granted = world.line.told(again, envelope.GRANT)[0][0].total
    target = world.line.told(again, envelope.RECALL)[0][0].total
    world.line.write(record.GRANT, account=account, amount=granted)
    world.line.write(record.RETURN, account=account, amount=target)
    out = world.handle(*world.line.all_recs(2))
    assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [14_000]
