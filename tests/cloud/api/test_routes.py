"""What the tap panel of a demo may ask, and that nobody else may."""

import pytest

from cloud.config import Config
from protocols.ids import hex8
from scripts import sample_school as sample
from tests.fixtures.pages import Pages

TOKEN = {"X-Demo-Token": "sample"}
LUNCH = f"/demo/trace?device={hex8(sample.LINE_1)}&epoch=1&seq=6"


def test_trace_tells_record_books_and_messages(pages: Pages) -> None:
    pages.deliver()
    told = pages.visitor().client.get(LUNCH, headers=TOKEN).get_json()
    assert told["record_known"] is True
    assert told["record"]["kind"] == "sale"
    assert (told["record"]["seq"], told["record"]["amount_minor"]) == (6, 9600)
    assert len(bytes.fromhex(told["record"]["raw_hex"])) == 32
    postings = told["entries"][0]["postings"]
    assert postings == {f"purse:{hex8(sample.MASHA)}": -9600, "caterer:1": 9600}
    message = told["messages"][0]
    assert message["text"] == "Маша: обед в 11:42, 96,00\u00a0₽"
    assert (message["state"], message["channel"]) == ("sent", "file")
    assert message["to_masked"] == "•••\u00a000\u00a001"


def test_passage_has_a_message_and_no_entry(pages: Pages) -> None:
    pages.clock.now = sample.at(8, 13)
    pages.deliver()
    path = f"/demo/trace?device={hex8(sample.GATE_1)}&epoch=1&seq=8"
    told = pages.visitor().client.get(path, headers=TOKEN).get_json()
    assert (told["record"]["kind"], told["record"]["direction"], told["entries"]) == ("passage", "in", [])
    assert told["messages"][0]["text"] == "Маша: вход в школу 08:12"


def test_record_that_has_not_arrived_is_no_error(pages: Pages) -> None:
    answer = pages.visitor().client.get(LUNCH.replace("seq=6", "seq=999"), headers=TOKEN)
    assert answer.get_json() == {"record_known": False, "record": None, "entries": [], "messages": []}


def test_pupils_are_listed_for_the_picker(pages: Pages) -> None:
    listed = pages.visitor().client.get("/demo/pupils", headers=TOKEN).get_json()
    assert listed[0] == {"account": hex8(sample.SISTER), "name": "Константинопольская Яна", "class": "2Б"}
    assert [one["class"] for one in listed] == ["2Б", "2Б", "7А", "10В", "10В"]


@pytest.mark.parametrize(
    "headers", [{}, {"X-Demo-Token": ""}, {"X-Demo-Token": "sampl"}, {"X-Demo-Token": "é"}]
)
def test_wrong_token_finds_nothing(pages: Pages, headers: dict[str, str]) -> None:
    for path in (LUNCH, "/demo/pupils"):
        answer = pages.visitor().client.get(path, headers=headers)
        assert (answer.status_code, answer.get_json()) == (404, {"error": 404})


def test_outside_a_demo_the_address_does_not_exist(pages: Pages) -> None:
    made = Pages(Config(data_dir=pages.config.data_dir, demo=False, demo_token="sample"))
    assert made.visitor().client.get(LUNCH, headers=TOKEN).status_code == 404
    made.engine.dispose()


def test_demo_without_a_token_stays_shut(pages: Pages) -> None:
    made = Pages(Config(data_dir=pages.config.data_dir, demo=True, demo_token=""))
    assert made.visitor().client.get(LUNCH, headers={"X-Demo-Token": ""}).status_code == 404
    made.engine.dispose()


@pytest.mark.parametrize(
    "query", ["", "device=zz&epoch=1&seq=1", "device=b1000001&epoch=x&seq=1", "device=b1000001"]
)
def test_malformed_questions_are_refused(pages: Pages, query: str) -> None:
    assert pages.visitor().client.get(f"/demo/trace?{query}", headers=TOKEN).status_code == 400
