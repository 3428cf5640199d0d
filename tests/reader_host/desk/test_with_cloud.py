"""A desk and the cloud itself: the key file of its command, operations over HTTP, and what became of them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect

from cloud.cards import commands
from cloud.cards import service as cards
from cloud.db import reading
from cloud.losses import service as losses
from protocols.errors import CARD_TAKEN
from reader_host.desk import keys as desk_keys
from reader_host.desk import owners, store
from reader_host.desk.program import Desk
from reader_host.desk.seal import Seal
from reader_host.desk.sender import NOT_LET_IN, Cloud, Sender
from reader_host.desk.store import ISSUE, RENEW, REPLACE, TEMPORARY, WIPE, Store
from reader_host.desk.work import Refused, Wish, Work
from reader_host.pcsc import kinds
from scripts import sample_school as sample
from tests.fixtures.components import wait_until
from tests.fixtures.pages import Pages
from tests.fixtures.pcsc import PlainCard, VirtualSlot
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.reader_host.desk.parts import UID, desfire, laid, ntag
from tests.reader_host.desk.test_work import OTHER_UID

MASHA, VANYA = f"S{sample.MASHA:08x}", f"S{sample.VANYA:08x}"


def key_file(pages: Pages, out: Path, label: str = "Office") -> Path:
    """What the administrator carries to the desk."""
    pages.config.write()
    done = CliRunner().invoke(
        commands.group, ["desk", "add", label, "--out", str(out), "--config", str(pages.config.path)]
    )
    assert done.exit_code == 0, done.output
    assert out.stat().st_mode & 0o077 == 0
    return out


class RealDesk:
    """Work and sender of a desk, without a reader, over the served cloud."""

    def __init__(self, pages: Pages, address: str, folder: Path, label: str = "Office") -> None:
        folder.mkdir()
        self.pages = pages
        self.seal = Seal(folder / "desk")
        self.keys = desk_keys.take_in(self.seal, key_file(pages, folder / "given.json", label))
        self.store = Store(folder / "desk", self.seal)
        now = pages.clock
        cloud = Cloud(address, self.keys.token)
        self.sender = Sender(cloud, self.store, self.seal, now=now, roster_days=7)
        self.work = Work(self.keys, self.store, now=now, random_bytes=os.urandom, roster=self.sender.roster)

    def do(self, card: object, wish: Wish) -> store.Operation:
        """Do it, and tell the cloud."""
        on_reader = laid(card)
        done = self.work.finish(on_reader, self.work.begin(wish, self.work.look(on_reader)))
        self.told = self.store.secret(done.op_id).credential
        assert self.sender.turn()
        return self.store.numbered(done.number)

    def known(self, credential: str) -> cards.Card | None:
        """What the cloud knows of a credential now."""
        with reading(self.pages.engine) as conn:
            return cards.find(conn, self.pages.site.vault, sample.SCHOOL, credential)


@pytest.fixture
def desk(pages: Pages, serve: Callable[[], str], memory: Path) -> Iterator[RealDesk]:
    made = RealDesk(pages, serve(), memory / "one")
    yield made
    made.store.close()


def test_card_of_the_desk_opens_the_pupils_account(desk: RealDesk):
    card = desfire()
    assert desk.do(card, Wish(ISSUE, MASHA)).state == store.ACCEPTED
    found = desk.known(desk.told)
    assert found is not None
    assert (found.account_id, found.status, found.is_protected, found.key_version) == (
        sample.MASHA, "active", True, 1,
    )  # fmt: skip
    assert desk.sender.roster().pupil(MASHA) is not None


def test_lost_card_is_blocked_by_its_replacement_and_the_second_stays(desk: RealDesk):
    desk.do(desfire(), Wish(ISSUE, MASHA))
    lost = desk.told
    desk.do(PlainCard(bytes.fromhex("04A1B2C3")), Wish(ISSUE, MASHA, "fob", plain_allowed=True))
    fob = desk.told
    assert desk.do(ntag(OTHER_UID), Wish(REPLACE, MASHA)).state == store.ACCEPTED
    states = [desk.known(each) for each in (lost, fob, desk.told)]
    assert [each and each.status for each in states] == ["blocked", "active", "active"]
    assert [each and each.is_weak for each in states] == [False, True, False]


def test_lost_card_is_a_report_of_the_moment_it_was_said(desk: RealDesk, pages: Pages):
    """Said at the desk while the cloud was away; what devices and the family learn comes with the cloud."""
    desk.do(desfire(), Wish(ISSUE, MASHA))
    credential, said = desk.told, pages.clock.now
    owned = next(each for each in desk.work.held(MASHA) if each.ref == desk.keys.reference(credential)[:16])
    desk.work.block(owned, said - 7200)
    pages.clock.now += 3 * 3600
    assert desk.sender.turn()
    known = desk.known(credential)
    assert known is not None
    assert known.is_blocked
    with reading(pages.engine) as conn:
        one = next(each for each in losses.latest(conn, sample.SCHOOL) if each.card_ref == known.card_ref)
    assert (one.reported_at, one.lost_at, one.who) == (said, said - 7200, "desk Office")
    (again,) = [each for each in desk.work.owners.of_student(MASHA) if each.ref == owned.ref]
    assert (again.state, again.waits) == (owners.BLOCKED, False)


def test_temporary_card_has_its_last_day(desk: RealDesk):
    assert desk.do(desfire(), Wish(TEMPORARY, MASHA, "temporary", "2026-12-31")).state == store.ACCEPTED
    found = desk.known(desk.told)
    assert found is not None
    assert (found.kind, found.until_day) == ("temporary", 20818)


def test_wiped_card_is_nobodys_and_can_be_given_again(desk: RealDesk):
    card = ntag()
    desk.do(card, Wish(ISSUE, MASHA))
    assert desk.do(card, Wish(WIPE)).state == store.ACCEPTED
    assert desk.known(desk.told) is None
    assert desk.do(card, Wish(ISSUE, VANYA)).state == store.ACCEPTED
    found = desk.known(desk.told)
    assert found is not None
    assert found.account_id == sample.VANYA


def test_card_of_another_pupil_is_refused_and_accepted_when_it_is_free(
    desk: RealDesk, pages: Pages, serve: Callable[[], str], memory: Path
):
    card = desfire()
    desk.do(card, Wish(ISSUE, MASHA))
    other = RealDesk(pages, serve(), memory / "two", "Library")
    # Without a list yet the other desk knows no better, and the cloud is asked.
    refused = other.do(card, Wish(ISSUE, VANYA))
    assert (refused.state, refused.refusal) == (store.REFUSED, CARD_TAKEN)
    # Now it has one: it says so itself, with the cloud away too.
    on_reader = laid(card)
    look = other.work.look(on_reader)
    assert look.owner is not None
    assert (look.owner.student, look.owner.state) == (MASHA, owners.OPEN)
    with pytest.raises(Refused, match="taken"):
        other.work.begin(Wish(ISSUE, VANYA), look)
    # Sent again as it was, the cloud would say what it said: so it goes under another number.
    desk.do(card, Wish(WIPE))
    other.work.send_again(refused)
    assert other.sender.turn()
    assert other.store.numbered(refused.number).state == store.ACCEPTED
    other.store.close()


def test_card_given_offline_and_wiped_is_told_in_order(desk: RealDesk):
    card = desfire()
    for wish in (Wish(ISSUE, MASHA), Wish(WIPE), Wish(ISSUE, VANYA)):
        on_reader = laid(card)
        done = desk.work.finish(on_reader, desk.work.begin(wish, desk.work.look(on_reader)))
    last = desk.store.secret(done.op_id).credential
    assert desk.store.waiting()[0] == 3
    assert desk.sender.turn()
    assert [each.state for each in desk.store.of_card(done.uid_ref)] == [store.ACCEPTED] * 3
    found = desk.known(last)
    assert found is not None
    assert found.account_id == sample.VANYA


def test_revoked_desk_keeps_its_queue(desk: RealDesk, pages: Pages):
    arguments = ["desk", "revoke", "Office", "--config", str(pages.config.path)]
    assert CliRunner().invoke(commands.group, arguments).exit_code == 0
    on_reader = laid(desfire())
    desk.work.finish(on_reader, desk.work.begin(Wish(ISSUE, MASHA), desk.work.look(on_reader)))
    assert not desk.sender.turn()
    assert desk.sender.link().problem == NOT_LET_IN
    assert desk.store.waiting()[0] == 1


def test_rotated_keys_are_written_in_place_and_the_cloud_knows(desk: RealDesk, pages: Pages, memory: Path):
    card = desfire()
    desk.do(card, Wish(ISSUE, MASHA))
    credential, before = desk.told, desk.known(desk.told)
    name = ["--config", str(pages.config.path)]
    for role in ("gate", "card"):
        assert CliRunner().invoke(commands.group, ["keys", "rotate", role, *name]).exit_code == 0
    fresh = memory / "fresh.json"
    assert CliRunner().invoke(commands.group, ["desk", "file", "--out", str(fresh), *name]).exit_code == 0
    keys = desk_keys.take_in(desk.seal, fresh)
    assert keys.token == desk.keys.token
    desk.work = Work(keys, desk.store, now=pages.clock, random_bytes=os.urandom, roster=desk.sender.roster)
    assert desk.do(card, Wish(RENEW)).state == store.ACCEPTED
    assert before is not None
    assert desk.known(credential) == before._replace(key_version=2)
    assert desk.work.look(laid(card)).seen.keys == kinds.CURRENT


@pytest.mark.pcsc
@pytest.mark.browser
def test_page_gives_a_card_on_a_real_reader_to_the_real_cloud(
    slot: VirtualSlot, page: Page, pages: Pages, serve: Callable[[], str], memory: Path
):
    seal = Seal(memory / "desk")
    keys = desk_keys.take_in(seal, key_file(pages, memory / "given.json"))
    pages.clock.now = sample.NOW
    with Desk(memory / "desk", keys, seal, cloud_url=serve()) as running:
        wait_until(lambda: bool(running.sender.roster().pupils), "the list of pupils")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(running.address)
        slot.lay(VirtualDesfire(UID, secrets.token_bytes))
        expect(page.locator("#card h2")).to_have_text("Новая карта", timeout=15_000)
        page.locator("#search").fill("лебедева маша")
        page.locator("#search").press("Enter")
        page.get_by_role("button", name="Выдать карту").click()
        expect(page.locator("#card h2")).to_have_text("Лебедева Маша", timeout=15_000)
        expect(page.locator("#bar")).to_contain_text("На связи")
        wait_until(lambda: "ждёт связи" not in page.locator("#bar").inner_text(), "the cloud's acceptance")
    kept = Store(memory / "desk", seal)
    (done,) = kept.in_state(store.ACCEPTED)
    kept.close()
    with reading(pages.engine) as conn:
        found = [each for each in cards.of_account(conn, sample.SCHOOL, sample.MASHA) if each.is_protected]
    assert [each.card_ref.hex() for each in found] == [done.card_ref]
