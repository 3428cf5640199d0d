"""The bare number of a protected card: refused at gates and lines, journaled, and it tells nothing."""

from firmware.hal.board import CANTEEN, GATE
from protocols.errors import CARD_COPY, CARD_UNKNOWN
from protocols.ledger import record
from protocols.wire.messages import FIXED_MOMENT
from protocols.wire.table import BLOCKED, COPY, CREDIT, meal_flag
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, Rig, reference, row, settings

PROVED = "app:4B4B01:0011223344556677"
PRICE = 8500
DAY = (MORNING + 3 * 3600) // 86400
# Whatever else a row says, a copy gets nothing.
FLAGS = (COPY, COPY | BLOCKED, COPY | CREDIT | meal_flag(2))


def rig_of(kind, row_flags, menu=((7, 0, 1439, PRICE, 2),), **options):
    rows = (row(PROVED, 11, 10 * PRICE), row(ANNA, 11, 10 * PRICE, row_flags, benefit_days=1))
    return Rig(kind, rows=rows, given=settings(menu=menu, **options), base_day=DAY, credit_total=PRICE)


def test_copy_opens_no_gate():
    for flags in FLAGS:
        rig = rig_of(GATE, flags)
        assert rig.tap(ANNA)[:2] == ("ask", CARD_COPY)
        assert rig.hands.released == ""
        assert rig.of_type(record.PASS) == []
        assert rig.tap(PROVED)[0] == "go"


def test_copy_buys_nothing():
    for flags in FLAGS:
        rig = rig_of(CANTEEN, flags, verdict_ms=0)
        assert rig.tap(ANNA, "-")[:2] == ("ask", CARD_COPY)
        assert rig.of_type(record.SALE, record.GRANT) == []
        assert rig.tap(PROVED, "-")[0] == "served"


def test_copy_is_journaled_with_the_account_it_copies():
    rig = rig_of(GATE, COPY)
    _kind, _refusal, seq = rig.tap(ANNA)
    note = rig.of_type(record.NOTE)[0]
    assert (note.seq, note.flags, note.account, note.amount) == (seq, record.NOTE_REFUSED_TAP, 11, CARD_COPY)
    assert note.aux == record.tap_aux(reference(ANNA))
    rig.parent.connect(1)
    assert rig.parent.received()[seq].amount == CARD_COPY


def test_copy_looks_like_every_other_refusal():
    """The same light, at the same moment, whether the card is a copy, unknown, or has no money."""
    shown = []
    for flags, card in ((COPY, ANNA), (COPY, "a:04AABBCCDDEE11")):
        rig = rig_of(CANTEEN, flags, flags=FIXED_MOMENT)
        rig.parent.connect()
        assert rig.tap(card, "-") is None
        rig.run(399)
        assert rig.panel.verdicts == []
        rig.run(2)
        shown.append(rig.panel.verdicts[0])
    assert [each[0] for each in shown] == ["ask", "ask"]
    assert [each[1] for each in shown] == [CARD_COPY, CARD_UNKNOWN]


def test_copy_is_told_also_when_nothing_is_on_sale():
    rig = rig_of(CANTEEN, COPY, menu=(), verdict_ms=0)
    assert rig.tap(ANNA, "-")[:2] == ("ask", CARD_COPY)
