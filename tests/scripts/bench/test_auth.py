"""A short `bench auth` on the real MicroPython; its recorded card says what a card of the desk says."""

import json

import pytest
from click.testing import CliRunner

from protocols.card import application
from scripts.bench.auth import BUDGET_MS, PRODUCT, TALK
from scripts.bench.command import bench
from tests.firmware.drivers.readers.rig import UID7, desfire, masters

RANDOM = bytes(range(0xA0, 0xB0))


def recorded() -> dict:
    """One identification of the tests' virtual DESFire EV2, with a fixed random number of the reader."""
    from protocols.card import native
    from tests.firmware.drivers.readers.rig import PROVED

    card = desfire()
    card.reset()
    commands, replies = [], []

    def exchange(command):
        commands.append(command.hex())
        reply = native.unwrap(card.apdu(native.wrap(command)))
        replies.append(bytes(reply).hex())
        return reply

    talk = application.identify(UID7, application.GATE, masters().of, lambda _count: RANDOM)
    assert native.run(talk, exchange) == PROVED
    return {
        "uid": UID7.hex(),
        "role": application.GATE,
        "master": masters().of(application.GATE, 1).hex(),
        "random": RANDOM.hex(),
        "commands": commands,
        "replies": replies,
        "credential": PROVED,
    }


def test_recorded_card_is_the_virtual_card_of_the_tests():
    assert json.loads(TALK.read_text()) == recorded()


@pytest.fixture(scope="module")
def printed(micropython) -> dict:
    result = CliRunner().invoke(bench, ["auth", "--json", "--count", "200"], catch_exceptions=False)
    assert result.exit_code == 0, result.stdout
    return json.loads(result.stdout)


def figure(printed, name):
    return next(row["value"] for row in printed["rows"] if row["group"] == PRODUCT and row["name"] == name)


def test_every_goal_is_met(printed):
    assert printed["met"]
    assert [goal["limit"] for goal in printed["goals"]] == [BUDGET_MS, 7]


def test_counts_are_those_of_the_protocol(printed):
    assert figure(printed, "authenticate: APDUs") == 2
    assert figure(printed, "identify: APDUs") == len(json.loads(TALK.read_text())["commands"])
    assert 0 < figure(printed, "authenticate: AES blocks") < figure(printed, "identify: AES blocks")


def test_wrong_reply_of_the_card_ends_the_bench(tmp_path, monkeypatch, micropython):
    talk = json.loads(TALK.read_text())
    last = bytearray(bytes.fromhex(talk["replies"][-1]))
    last[-1] ^= 1
    talk["replies"][-1] = last.hex()
    wrong = tmp_path / "talk.json"
    wrong.write_text(json.dumps(talk))
    monkeypatch.setattr("scripts.bench.auth.TALK", wrong)
    result = CliRunner().invoke(bench, ["auth", "--count", "10"])
    assert result.exit_code == 1
    assert "card_not_genuine" in result.output or "Fault" in result.output
