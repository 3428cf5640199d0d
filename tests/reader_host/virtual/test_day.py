"""A day of real boards with a real broker: nothing lost, nothing repeated, whatever is switched off."""

import random
import time

from protocols import errors
from protocols.ledger import basket, record
from protocols.wire import messages, topics
from tests.reader_host.virtual.hand import (
    CARDS,
    MORNING,
    PRICE,
    SETTINGS,
    Hand,
    account,
    all_arrived,
    provision,
    rows,
)


def test_idle_board_uses_no_processor(play):
    hand, peer = play("gate")
    all_arrived(hand, peer)

    def used():
        with open(f"/proc/{hand.board.pid}/stat") as file:
            return sum(int(field) for field in file.read().split()[13:15])

    before = used()
    time.sleep(2)
    # Ticks of 10 ms: a loop that spins would take 200.
    assert used() - before < 30


def test_tap_and_turn_reach_the_parent(play):
    hand, peer = play("gate")
    seq = hand.tap(CARDS[3])
    hand.turn()
    all_arrived(hand, peer)
    opened, turned = peer.of(record.PASS)
    assert (opened.seq, opened.account, opened.time) == (seq, account(CARDS[3]), MORNING + 10)
    assert (turned.flags, turned.aux) == (record.PASS_TURNED, seq)
    peer.wait(lambda: b"1" in peer.states, "the birth message")
    hand.board.kill()
    peer.wait(lambda: peer.states[-1] == b"0", "the last will", 60)


def test_line_asks_for_what_it_lacks(play):
    hand, peer = play("canteen")
    for card in CARDS[:10]:
        hand.tap(card, "-")
    all_arrived(hand, peer)
    assert [(item.account, item.amount) for item in peer.of(record.SALE)] == [
        (account(card), PRICE) for card in CARDS[:10]
    ]
    assert len(peer.needs) >= 10
    peer.grants = False
    hand.utc += 10
    hand.clock()
    hand.board.send(f"card - {CARDS[20]}")
    assert hand.event("verdict")["refusal"] == str(errors.RIGHTS_SHORT)


def test_hundreds_of_taps_fit_in_the_heap(play):
    hand, peer = play("canteen", rights=100000)
    before = int(hand.ask("status")["heap"])
    print(f"a line has {before} B of heap free after the start")
    # A whole message of records, its copies on the way out and what comes in meanwhile, whatever the holes.
    assert before > 48 * 1024
    for number in range(400):
        hand.tap(CARDS[number % 40], "-")
    all_arrived(hand, peer)
    assert int(hand.ask("status")["heap"]) > before - 4096
    assert len(peer.of(record.SALE)) == 400


def test_power_cuts_lose_no_passage(play):
    hand, peer = play("gate")
    chance = random.Random(5)
    seqs = []
    for number in range(60):
        cut = chance.uniform(0, 0.004) if number % 3 == 0 else None
        seqs.append(hand.tap(CARDS[number % 40], cut_after_s=cut))
        if number % 4:
            hand.turn(cut_after_s=chance.uniform(0, 0.004) if number % 5 == 0 else None)
    all_arrived(hand, peer)
    passes = peer.of(record.PASS)
    opened = [item for item in passes if item.flags == record.PASS_OPENED]
    turned = [item.aux for item in passes if item.flags == record.PASS_TURNED]
    assert [item.seq for item in opened] == seqs
    assert [item.account for item in opened] == [account(CARDS[number % 40]) for number in range(60)]
    assert turned == [seq for number, seq in enumerate(seqs) if number % 4]
    assert hand.faults == []


def test_power_cuts_lose_no_sale(play):
    hand, peer = play("canteen", rights=PRICE)
    chance = random.Random(6)
    seqs = []
    for number in range(80):
        cut = chance.uniform(0, 0.01) if number % 4 == 0 else None
        seqs.append(hand.tap(CARDS[number % 40], "-", cut_after_s=cut))
    all_arrived(hand, peer)
    sales = peer.of(record.SALE)
    assert [item.seq for item in sales] == seqs
    assert [item.account for item in sales] == [account(CARDS[number % 40]) for number in range(80)]
    for card in CARDS:
        spent = sum(item.amount for item in sales if item.account == account(card))
        assert spent == 2 * PRICE <= peer.granted_total(account(card))
    assert hand.faults == []


def test_power_cuts_leave_baskets_whole(play):
    """Eleven goods and their sale: cut anywhere, the parent gets all of them or no sale."""
    hand, peer = play("canteen", rights=100000)
    chance = random.Random(7)
    served = set()
    for number in range(40):
        hand.utc += 10
        hand.clock()
        hand.board.send("basket" + " 7:1" * 11)
        hand.board.send(f"card - {CARDS[number]}")
        if number % 3 == 1:
            time.sleep(chance.uniform(0, 0.012))
            hand.restart()
        else:
            assert hand.event("verdict")["kind"] == "served"
            served.add(account(CARDS[number]))
    all_arrived(hand, peer)
    run, sold = (), []
    for item in peer.of(*record.TYPES):
        if basket.is_basket(item):
            assert basket.committed(run, item)[0] == errors.OK
            assert item.amount == 11 * PRICE
            sold.append(item.account)
        run = basket.follow(run, item)
    assert served <= set(sold)
    assert len(sold) == len(set(sold)) == len(peer.of(record.SALE))
    assert hand.faults == []


def test_rotor_after_a_power_cut_ends_the_passage(play):
    hand, peer = play("gate")
    seq = hand.tap(CARDS[0])
    hand.restart()
    assert hand.ask("last")["open"] == "1"
    hand.board.send(f"card in {CARDS[0]}")
    assert hand.event("verdict")["kind"] == "repeat"
    hand.board.send("rotor in")
    assert hand.event("passage")["of"] == str(seq)
    hand.restart()
    hand.utc += 4
    hand.clock()
    hand.board.send("rotor in")
    assert hand.ask("last")["open"] == "0"
    all_arrived(hand, peer)
    assert len([item for item in peer.of(record.PASS) if item.flags == record.PASS_TURNED]) == 1


def test_broker_that_dies_loses_nothing(play, embedded_broker):
    hand, peer = play("gate")
    seqs = [hand.tap(card) for card in CARDS[:5]]
    embedded_broker.kill()
    seqs += [hand.tap(card) for card in CARDS[5:15]]
    embedded_broker.start()
    all_arrived(hand, peer)
    opened = [item.seq for item in peer.of(record.PASS) if item.flags == record.PASS_OPENED]
    assert opened == seqs


def test_parent_that_is_silent_gets_all_later(play):
    hand, peer = play("gate")
    peer.acknowledges = False
    for card in CARDS[:30]:
        hand.tap(card)
    assert int(hand.ask("status")["acked"]) < int(hand.ask("status")["next"])
    peer.acknowledges = True
    all_arrived(hand, peer)


def test_bad_messages_are_counted_and_change_nothing(play):
    hand, peer = play("canteen")
    all_arrived(hand, peer)
    before = hand.ask("status")
    good = peer.seal(17, messages.pack_rights([messages.Right(account(CARDS[0]), 0, 90000)]))
    wrong = [b"", b"\x00", good[:-1], good[:40], good + b"\x00", bytes(2000), b"\xff" * 5000]
    wrong += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(0, len(good), 7)]
    for payload in wrong:
        peer.raw(topics.DOWN, payload)
    peer.raw(topics.TABLE, good)
    hand.utc += 10
    for _ in range(500):
        status = hand.ask("status")
        if int(status["refused"]) == len(wrong) + 1:
            break
        time.sleep(0.02)
    assert int(status["refused"]) == len(wrong) + 1
    assert (status["next"], status["online"]) == (before["next"], "1")
    assert hand.tap(CARDS[0], "-") == int(before["next"]) + 1


def test_board_with_a_clock_of_its_own(boards, peers, embedded_broker):
    port = embedded_broker.port
    given = SETTINGS._replace(passage_ms=300)
    peer = peers(port, provision("gate", port), rows(), given)
    peer.ahead_s = 600
    hand = Hand(boards("gate", port, world_clock=False))
    hand.start()
    hand.settle()
    hand.board.send(f"card in {CARDS[0]}")
    seq = hand.event("verdict")["seq"]
    # Nobody says anything more: the board wakes by itself.
    assert hand.event("passage")["stage"] == "not_turned"
    all_arrived(hand, peer)
    (step,) = peer.of(record.CLOCK)
    assert 590 <= step.amount <= 610
    opened = next(item for item in peer.of(record.PASS) if item.seq == int(seq))
    assert 590 <= opened.time - time.time() <= 610
