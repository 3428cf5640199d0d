"""The hand against a board that dies at every step: each tap has one verdict, nothing is lost or repeated."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import VOID_TWICE, VOID_UNKNOWN
from protocols.ledger.record import NOTE, PASS, SALE, VOID
from scripts.play.day import Tap
from scripts.play.hand import Hand, Stopped, Verdict
from tests.scripts.play.board_model import OPENED, TURNED, BoardModel

START = 1_756_674_000


def ticks_ms(at):
    return (at - START) * 1000


def taps_of(rows, kind):
    """Rows (gap in seconds, card number, passes) as taps of one board."""
    taps, at = [], START + 8 * 3600
    for line, (gap, card, passes) in enumerate(rows, 2):
        at += gap
        reader = "in" if kind == "gate" else "-"
        taps.append(Tap(line, at, "x", reader, f"a:0000000{card}", kind == "gate" and passes))
    return taps


def play(taps, kind, deaths=(), unknown=("a:00000009",)):
    """The verdicts and the board after the taps."""
    board = BoardModel(kind, deaths, unknown)
    hand = Hand("x", board, ticks_ms=ticks_ms)
    verdicts = [hand.play(tap).kind for tap in taps]
    hand.finish(taps[-1].at + 60 if taps else START)
    return verdicts, board, hand


def facts(board):
    """What the journal tells, without the order of records that a death can not change anyway."""
    return [
        (kind, flags, at, card, board.journal[of - 1][2:4] if of else None)
        for kind, flags, at, card, of in board.journal
    ]


rows = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 4, 9]), st.sampled_from([1, 2, 9]), st.booleans()), max_size=8
)


@settings(deadline=None, max_examples=60)
@given(rows, st.sampled_from(["gate", "canteen"]), st.sets(st.integers(1, 40), max_size=6))
def test_deaths_change_no_operation(rows, kind, deaths):
    """Verdicts and operations are the same with and without deaths, wherever they fall."""
    taps = taps_of(rows, kind)
    want, calm, _ = play(taps, kind)
    got, battered, hand = play(taps, kind, deaths)
    assert got == want
    assert hand.tally.repeated == want.count("repeat")

    def operations(board):
        return [fact[:4] for fact in facts(board) if fact[0] != PASS or fact[1] & 6 in (OPENED, TURNED)]

    assert operations(battered) == operations(calm)


@pytest.mark.parametrize("step", range(1, 7))
def test_passage_survives_each_cut(step):
    """One tap that walks through: one opening and one turn, whichever step the power goes out at."""
    taps = taps_of([(0, 1, True)], "gate")
    verdicts, board, _ = play(taps, "gate", {step})
    assert verdicts == ["go"]
    assert [(kind, flags) for kind, flags, *_ in board.journal] == [(PASS, OPENED), (PASS, TURNED)]


@pytest.mark.parametrize("step", range(1, 4))
def test_sale_survives_each_cut(step):
    """One sale is journaled once, whichever step the power goes out at."""
    verdicts, board, _ = play(taps_of([(0, 1, False)], "canteen"), "canteen", {step})
    assert verdicts == ["served"]
    assert [row[0] for row in board.journal] == [SALE]


@pytest.mark.parametrize("death", range(1, 9))
def test_basket_is_for_its_card_alone(death):
    """Also where the board died over it, and a repeated card leaves nothing for the next one to pay."""
    board = BoardModel("canteen", {death})
    hand = Hand("x", board, ticks_ms=ticks_ms)
    cards = (("1", 0, ((12, 2), (3, 1))), ("1", 1, ((9, 3),)), ("2", 2, ()), ("3", 3, ((9, 1),)))
    taps = [Tap(1, START + at, "x", "-", f"a:0000000{card}", False, goods) for card, at, goods in cards]
    kinds = [hand.play(tap).kind for tap in taps]
    assert kinds == ["served", "repeat", "served", "served"]
    sales = [(row[3], goods) for row, goods in zip(board.journal, board.paid, strict=True)]
    assert sales == [("a:00000001", "12:2 3:1"), ("a:00000002", ""), ("a:00000003", "9:1")]


def test_refusal_is_noted_once():
    """A power cut after the note does not hold the card again."""
    verdicts, board, _ = play(taps_of([(0, 9, False)], "canteen"), "canteen", {2})
    assert verdicts == ["ask"]
    assert [row[0] for row in board.journal] == [NOTE]
    assert board.cards_shown == 1


def test_stopped_hand_leaves_at_once():
    """A play that ends does not wait for a board that says nothing."""
    stopped = threading.Event()

    class Silent(BoardModel):
        def send(self, line, life):
            stopped.set()

    with pytest.raises(Stopped):
        Hand("x", Silent(), ticks_ms=ticks_ms, stopped=stopped).play(taps_of([(0, 1, True)], "gate")[0])


def test_tap_waits_for_the_cloud():
    """No card is held while the cloud's side is known to be down."""
    answers = iter([False, False, True])
    board = BoardModel("canteen")
    hand = Hand("x", board, ticks_ms=ticks_ms, may_tap=lambda: next(answers, True))
    hand.play(taps_of([(0, 1, False)], "canteen")[0])
    assert board.cards_shown == 1
    assert next(answers, None) is None


@pytest.mark.parametrize("death", range(8))
def test_void_survives_every_death_and_is_one(death):
    board = BoardModel("canteen", deaths=[death])
    hand = Hand("x", board, ticks_ms=ticks_ms)
    tap = taps_of([(0, 1, False)], "canteen")[0]
    seq = hand.play(tap).seq
    answer = hand.void(seq, tap.at)
    voids = [row for row in board.journal if row[0] == VOID]
    assert (answer.kind, answer.refusal, len(voids)) == ("voided", 0, 1)
    assert board.journal[answer.seq - 1][4] == seq
    # A second time by another hand's wish is refused, and not taken for the answer that got lost.
    assert hand.void(seq, tap.at) == Verdict("kept", VOID_TWICE, 0)
    assert hand.void(99, tap.at).refusal == VOID_UNKNOWN
