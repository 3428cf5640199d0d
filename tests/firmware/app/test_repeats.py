"""The memory of accepted taps, filled again from the journal."""

from collections import namedtuple

from firmware.app.repeats import Repeats
from protocols.ledger import record

Tap = namedtuple("Tap", ("ticks", "time"))


class Clock:
    """No tap of before a boot has ticks that can be compared."""

    def elapsed(self, later, earlier):
        raise AssertionError


def test_basket_is_a_tap_after_a_boot():
    for flags, low in ((record.SALE_SINGLE, 12), (0, 3)):
        repeats = Repeats(Clock())
        aux = record.good_aux(low, b"\x12\x34\x56\x78")
        repeats.recover(record.Record(record.SALE, flags, 20697, 9, 1000, 77, 8500, aux))
        bits = record.tap_aux(b"\x12\x34\x56\x78")
        assert repeats.is_repeat(bits, 77, Tap(5, 1003), 3000)
        assert not repeats.is_repeat(bits, 77, Tap(5, 1004), 3000)
        assert not repeats.is_repeat(bits, 78, Tap(5, 1003), 3000)
        assert not repeats.is_repeat(bits + 1, 77, Tap(5, 1003), 3000)


def test_items_are_no_tap():
    repeats = Repeats(Clock())
    repeats.recover(record.Record(record.ITEM, 0, 20697, 8, 1000, 77, 4500, 0x34120003))
    assert not repeats.is_repeat(record.tap_aux(b"\x12\x34\x56\x78"), 77, Tap(5, 1001), 3000)
