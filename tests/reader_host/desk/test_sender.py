"""The way to the cloud: nothing twice, nothing lost, never in clear, and a list that is forgotten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reader_host.desk import roster as rosters
from reader_host.desk import sender, store
from reader_host.desk.keys import BadKeys, DeskKeys, kept, take_in
from reader_host.desk.seal import Seal, SealBroken
from reader_host.desk.sender import BadAddress, Cloud, Sender
from reader_host.desk.store import ISSUE, WIPE
from reader_host.desk.work import Wish
from tests.reader_host.desk.parts import NOW, TOKEN, FakeCloud, Parts, desfire, keys_text, laid
from tests.reader_host.desk.test_work import FOR_MARIA, OTHER_UID, do


def sender_of(parts: Parts, cloud: FakeCloud, token: str = TOKEN, now: int = NOW) -> Sender:
    return Sender(Cloud(cloud.url, token), parts.store, parts.seal, now=lambda: now, roster_days=7)


def test_operations_are_sent_in_order_and_once(memory: Path, cloud: FakeCloud):
    parts, card = Parts(memory), desfire()
    for wish in (FOR_MARIA, Wish(WIPE), Wish(ISSUE, "s2")):
        do(parts, card, wish)
    assert parts.store.waiting() == (3, NOW)
    sending = sender_of(parts, cloud)
    assert sending.turn()
    assert sending.turn()
    assert [(each["op"], each["student"]) for each in cloud.received] == [
        ("issue", "s1"), ("wipe", "s1"), ("issue", "s2"),
    ]  # fmt: skip
    assert parts.store.waiting() == (0, 0)
    assert {each["key_version"] for each in cloud.received} == {1}


def test_few_reports_of_losses_go_in_one_request(memory: Path, cloud: FakeCloud):
    """Each makes the cloud tell every device: a queue of a day away must not outlast the answer."""
    parts = Parts(memory)
    do(parts, desfire(), FOR_MARIA)
    (owned,) = parts.work.held("s1")
    for _each in range(12):
        parts.work.block(owned, NOW - 60)
    sizes: list[int] = []

    class Counted(Cloud):
        def send(self, operations: list[dict]) -> list[sender.Answer]:
            sizes.append(len(operations))
            return super().send(operations)

    sending = Sender(Counted(cloud.url, TOKEN), parts.store, parts.seal, now=lambda: NOW, roster_days=7)
    assert sending.turn()
    assert sizes == [6, 5, 2]
    assert len(cloud.accepted) == 13
    told = cloud.received[1]
    assert [told[name] for name in ("op", "student", "credential", "uid", "kind", "ref", "lost_at")] == [
        "block", "s1", None, None, None, owned.ref, NOW - 60,
    ]  # fmt: skip


def test_lost_answer_is_asked_for_again_with_the_same_number(memory: Path, cloud: FakeCloud):
    parts = Parts(memory)
    do(parts, desfire(), FOR_MARIA)
    cloud.loses_answers = 1
    sending = sender_of(parts, cloud)
    assert not sending.turn()
    assert sending.link().problem == sender.UNREACHABLE
    assert sending.turn()
    assert sending.link().problem == ""
    assert len(cloud.received) == 2
    assert len(cloud.accepted) == 1


@pytest.mark.parametrize("moment", ["begun", "written", "ready"])
def test_killed_desk_does_nothing_twice(memory: Path, cloud: FakeCloud, moment: str):
    """A desk that is killed with SIGKILL between its steps; what is on the card is kept beside it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.reader_host.desk.killed", str(memory), moment], check=False
    )
    assert done.returncode == -signal.SIGKILL
    parts, card = Parts(memory, random_bytes=os.urandom), desfire()
    card.applications, card.random_bytes = _card_of(memory), os.urandom
    assert cloud.received == []
    (waiting,) = parts.store.in_state(store.READY if moment == "ready" else store.BEGUN)
    secret = parts.store.secret(waiting.op_id)
    if moment != "ready":
        look = parts.work.look(laid(card))
        assert look.unfinished == waiting
        parts.work.finish(laid(card), waiting)
    sender_of(parts, cloud).turn()
    assert [(each["op_id"], each["credential"]) for each in cloud.received] == [
        (waiting.op_id, secret.credential)
    ]
    assert parts.work.look(laid(card)).seen.proved == secret.credential


def _card_of(folder: Path) -> dict:
    from tests.reader_host.desk import killed

    return killed.load(folder)


def test_refusal_is_kept_and_a_new_try_has_a_new_number(memory: Path, cloud: FakeCloud):
    parts, card = Parts(memory), desfire()
    parts.store.start_row("2Б", ["s1"])
    first = do(parts, card, FOR_MARIA._replace(place=0))
    cloud.refusals[first.op_id] = (118, "the card opens another account")
    sender_of(parts, cloud).turn()
    (refused,) = parts.store.in_state(store.REFUSED)
    assert (refused.refusal, refused.reason) == (118, "the card opens another account")
    assert parts.work.look(laid(card)).owner is None
    parts.work.send_again(refused)
    sender_of(parts, cloud).turn()
    (again,) = parts.store.in_state(store.ACCEPTED)
    assert again.op_id != first.op_id
    assert parts.store.row()[0].op_id == again.op_id
    assert cloud.accepted[again.op_id]["credential"] == cloud.received[0]["credential"]


def test_cloud_that_does_not_know_the_desk_is_told_apart(memory: Path, cloud: FakeCloud):
    parts = Parts(memory)
    do(parts, desfire(), FOR_MARIA)
    sending = sender_of(parts, cloud, "another token")
    assert not sending.turn()
    assert sending.link().problem == sender.NOT_LET_IN
    assert parts.store.waiting()[0] == 1


@pytest.mark.parametrize("url", ["http://cloud.example", "ftp://127.0.0.1", "cloud.example", "http://"])
def test_token_never_goes_in_clear(url: str):
    with pytest.raises(BadAddress):
        Cloud(url, TOKEN)
    assert TOKEN not in repr(Cloud("https://cloud.example", TOKEN))


def test_list_of_pupils_is_sealed_and_forgotten(memory: Path, cloud: FakeCloud):
    parts = Parts(memory)
    sending = sender_of(parts, cloud)
    sending.turn()
    assert len(sending.roster().pupils) == 4
    held = (memory / rosters.FILE).read_bytes()
    assert "Котова".encode() not in held
    week = NOW + 7 * 86400
    assert len(rosters.kept(parts.seal, week, 7).pupils) == 4
    assert rosters.kept(parts.seal, week + 1, 7).pupils == ()
    assert not (memory / rosters.FILE).exists()


def test_list_that_is_none_leaves_the_one_before(memory: Path, cloud: FakeCloud, monkeypatch):
    parts = Parts(memory)
    sending = sender_of(parts, cloud)
    sending.turn()
    monkeypatch.setattr(
        cloud, "_say", lambda request, _status, _told: FakeCloud._say(cloud, request, 200, {"pupils": 3})
    )
    late = sender_of(parts, cloud, now=NOW + 3600)
    assert not late.turn()
    assert late.link().problem == sender.BAD_ANSWER
    assert len(late.roster().pupils) == 4


def test_keys_are_taken_in_once_and_stay_sealed(memory: Path):
    given = memory / "given.json"
    given.write_text(keys_text(token=TOKEN))
    seal = Seal(memory / "desk")
    assert take_in(seal, given).token == TOKEN
    given.write_text(keys_text())
    assert take_in(seal, given).token == TOKEN
    for path in (memory / "desk").iterdir():
        assert TOKEN.encode() not in path.read_bytes()
        assert b"5A00" not in path.read_bytes()
    found = kept(Seal(memory / "desk"))
    assert found is not None
    assert found.school == "0badcafe"
    (memory / "desk" / "seal.key").write_bytes(os.urandom(32))
    with pytest.raises(SealBroken):
        kept(Seal(memory / "desk"))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", keys_text(range(3)), keys_text().replace("0badcafe", "0bad"),
        keys_text().replace('"version": 1', '"version": 0'), keys_text().replace("5A00" * 4, "5A00"),
        json.dumps({"school": "0badcafe", "masters": [], "reference_key": "00"}),
    ],
)  # fmt: skip
def test_file_that_is_no_key_file_is_refused(text: str):
    with pytest.raises(BadKeys) as bad:
        DeskKeys(text)
    assert "5A" not in str(bad.value)


def test_seal_is_bound_to_what_it_seals(memory: Path):
    seal = Seal(memory)
    sealed = seal.close("one", b"secret")
    assert seal.open("one", sealed) == b"secret"
    for what, other in (("two", sealed), ("one", sealed[:-1]), ("one", b"")):
        with pytest.raises(SealBroken):
            seal.open(what, other)


def test_key_of_the_seal_lies_in_the_key_ring_where_there_is_one(memory: Path, monkeypatch):
    ring: dict[tuple[str, str], str] = {}

    class Ring:
        get_password = staticmethod(lambda service, name: ring.get((service, name)))
        set_password = staticmethod(lambda service, name, value: ring.update({(service, name): value}))

    monkeypatch.setattr("reader_host.desk.seal._ring", lambda: Ring)
    sealed = Seal(memory).close("one", b"secret")
    assert not (memory / "seal.key").exists()
    assert Seal(memory).open("one", sealed) == b"secret"
    assert OTHER_UID.hex() not in str(ring)
