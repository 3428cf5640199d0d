"""The schedule: every tap once, boards in their order, pupils in their order, whatever the interleaving."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from scripts.play.day import Tap
from scripts.play.schedule import Schedule

DEVICES = ("gate-1", "gate-2", "line-1")


def taps_of(rows):
    return [
        Tap(line, line // 2, DEVICES[device], "-", f"a:0000000{card}", False)
        for line, (device, card) in enumerate(rows, 2)
    ]


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=30)


@given(rows, st.randoms(use_true_random=False))
def test_every_interleaving_keeps_orders(rows, chance):
    """Whichever board comes next, all taps are played once and both orders hold."""
    taps = taps_of(rows)
    schedule = Schedule(taps)
    held: dict[str, Tap] = {}
    played = []
    while schedule.left:
        device = chance.choice(DEVICES)
        if device in held and chance.random() < 0.7:
            played.append(held.pop(device))
            schedule.done(played[-1])
        elif device not in held:
            tap = schedule.next(device, timeout_s=0)
            if tap is not None:
                assert all(other.credential != tap.credential for other in held.values())
                held[device] = tap
            elif not held:
                continue
    assert sorted(tap.line for tap in played) == [tap.line for tap in taps]
    for key in ("device", "credential"):
        for value in {getattr(tap, key) for tap in taps}:
            lines = [tap.line for tap in played if getattr(tap, key) == value]
            assert lines == sorted(lines)


@given(rows)
def test_some_board_can_always_go_on(rows):
    """As long as a tap is left, at least one board gets one at once."""
    schedule = Schedule(taps_of(rows))
    while schedule.left:
        offers = [schedule.next(device, timeout_s=0) for device in DEVICES]
        given_out = [tap for tap in offers if tap is not None]
        assert given_out
        for tap in given_out:
            schedule.done(tap)


def test_two_cards_of_one_pupil_wait():
    """The order is kept by the holder of the cards, not by the card."""
    taps = taps_of([(0, 1), (1, 2)])
    schedule = Schedule(taps, owner=lambda tap: "one pupil")
    assert schedule.next("gate-2", timeout_s=0) is None
    first = schedule.next("gate-1")
    assert first is not None
    schedule.done(first)
    assert schedule.next("gate-2", timeout_s=0) == taps[1]


def test_stop_wakes_those_who_wait():
    """A board whose next tap waits for another board's is let go by a stop."""
    schedule = Schedule(taps_of([(0, 1), (1, 1)]))
    got = []
    waiter = threading.Thread(target=lambda: got.append(schedule.next("gate-2")))
    waiter.start()
    schedule.stop()
    waiter.join(10)
    assert got == [None]
