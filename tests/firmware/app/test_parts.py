"""A card of which the school knows the end of the number only, at readers that say more or less of it."""

from firmware.hal.board import CANTEEN, GATE
from protocols.errors import CARD_BLOCKED, CARD_UNKNOWN
from protocols.ledger import record
from protocols.wire.table import BLOCKED, WEAK
from tests.firmware.rig import Rig, reference, row, settings

WHOLE, W34, W26 = "em:01026F6C3A", "w34:026F6C3A", "w26:6F6C3A"
PART_32, PART_24 = "part:026F6C3A", "part:6F6C3A"


def test_part_is_found_by_every_longer_number():
    for part, sayings in ((PART_32, (WHOLE, W34)), (PART_24, (WHOLE, W34, W26))):
        for said in sayings:
            rig = Rig(GATE, rows=(row(part, 11, 0, WEAK),))
            assert rig.tap(said)[0] == "go"
            opened = rig.of_type(record.PASS)[0]
            assert (opened.account, opened.aux) == (11, record.tap_aux(reference(part)))


def test_line_serves_a_card_that_is_known_in_part():
    rig = Rig(CANTEEN, rows=(row(PART_24, 11, 100000, WEAK),), given=settings(verdict_ms=0))
    assert rig.tap(WHOLE, "-")[0] == "served"


def test_number_of_another_card_is_no_part():
    """Other ends; kinds of cards whose numbers have no such ends; a short name that a short reader says."""
    for said in (
        "em:01026F6C3B",
        "w34:026F6C3B",
        "a:026F6C3A",
        "a:04026F6C3A5B71",
        "osdp:24:6F6C3A",
        "w37:0026F6C3A",
    ):
        rig = Rig(GATE, rows=(row(PART_24, 11, 0, WEAK), row(PART_32, 12, 0, WEAK)))
        assert rig.tap(said)[:2] == ("ask", CARD_UNKNOWN)
    rig = Rig(GATE, rows=(row(W26, 11, 0, WEAK),))
    assert rig.tap(WHOLE)[:2] == ("ask", CARD_UNKNOWN)
    assert rig.tap(W26)[0] == "go"


def test_whole_number_goes_ahead_of_its_parts():
    rig = Rig(GATE, rows=(row(WHOLE, 11, 0, WEAK), row(PART_32, 12, 0, WEAK), row(PART_24, 13, 0, WEAK)))
    for said, account in ((WHOLE, 11), ("em:05026F6C3A", 12), ("em:05056F6C3A", 13)):
        assert rig.tap(said)[0] == "go"
        assert rig.of_type(record.PASS)[-1].account == account


def test_part_that_is_blocked_is_refused_as_such():
    rig = Rig(GATE, rows=(row(PART_24, 11, 0, WEAK | BLOCKED),))
    assert rig.tap(WHOLE)[:2] == ("ask", CARD_BLOCKED)
    assert rig.of_type(record.NOTE)[0].account == 11
    # Nobody's card is journaled by what the reader has said.
    assert rig.tap("em:0102030405")[:2] == ("ask", CARD_UNKNOWN)
    note = rig.of_type(record.NOTE)[-1]
    assert (note.account, note.aux) == (0, record.tap_aux(reference("em:0102030405")))


def test_name_of_a_part_cannot_be_said():
    rig = Rig(GATE, rows=(row(PART_24, 11, 0, WEAK),))
    assert rig.tap(PART_24)[0] == "ask"
    assert rig.of_type(record.PASS) == []
