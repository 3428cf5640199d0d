"""The issuing desk itself speaks to the cloud: its own sender over a real socket, the file from the cloud."""

import threading

import pytest
from werkzeug.serving import make_server

from cloud.cards import service as cards
from cloud.db import begin, reading
from protocols.card.application import GATE
from reader_host.desk.keys import DeskKeys
from reader_host.desk.sender import Cloud, CloudProblem
from scripts import sample_school as sample
from tests.fixtures.pages import Pages

PROOF, BARE = "app:4B4B01:0102030405060708", "a:04C716D07C564B"


@pytest.fixture
def served(pages: Pages):
    server = make_server("127.0.0.1", 0, pages.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_desk_hands_over_what_it_did_and_hears_who_is_there(pages: Pages, served: str) -> None:
    with begin(pages.engine) as conn:
        _desk, token = cards.add_desk(conn, pages.site.vault, sample.SCHOOL, "desk-1", pages.clock.now)
    keys = DeskKeys(cards.desk_file(pages.site.vault, sample.SCHOOL, token))
    assert keys.token == token
    assert keys.can_issue_tags
    assert keys.masters.newest(GATE)[0] == 1
    cloud = Cloud(served, token)
    roster = cloud.roster(pages.clock.now)
    masha = next(pupil for pupil in roster.pupils if "Маша" in pupil.name)
    one = {
        "op": "issue", "op_id": "00000000000000ff", "student": masha.student, "credential": PROOF,
        "uid": BARE, "kind": "card", "until": None, "at": pages.clock.now,
    }  # fmt: skip
    for _again in range(2):
        (answer,) = cloud.send([one])
        assert (answer.is_accepted, answer.number) == (True, 0)
    (answer,) = cloud.send([{**one, "op_id": "0000000000000100", "credential": BARE, "uid": None}])
    assert (answer.is_accepted, answer.number) == (False, 105)
    with reading(pages.engine) as conn:
        card = cards.find(conn, pages.site.vault, sample.SCHOOL, PROOF)
    assert card is not None
    assert keys.reference(PROOF) == card.card_ref.hex()
    after = next(pupil for pupil in cloud.roster(pages.clock.now).pupils if pupil.student == masha.student)
    assert after.cards == masha.cards + 1
    with pytest.raises(CloudProblem, match="not_let_in"):
        Cloud(served, "00" * 32).roster(pages.clock.now)
