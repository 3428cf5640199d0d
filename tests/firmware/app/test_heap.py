"""The collector's hours: after a round that left enough garbage, and at no other time."""

# mypy: disable-error-code="attr-defined,assignment,no-untyped-def,no-untyped-call"

from firmware.app import heap


class FakeCollector:
    """The gc module of MicroPython with a heap of 256 KB, of which 64 KB live."""

    def __init__(self) -> None:
        self.used = 65536
        self.bound = 0
        self.collected = 0

    def mem_alloc(self) -> int:
        return self.used

    def mem_free(self) -> int:
        return 262144 - self.used

    def threshold(self, size: int) -> None:
        self.bound = size

    def collect(self) -> None:
        self.collected += 1
        self.used = 65536


def with_collector(check) -> None:
    """Run a check with a fake gc in place of the interpreter's."""
    fake, real = FakeCollector(), heap.gc
    heap.gc = fake
    try:
        check(fake)
    finally:
        heap.gc = real


def test_little_garbage_is_left_alone():
    def check(collector):
        resting = heap.Heap()
        collector.used += 8191
        resting.rest()
        assert (resting.collections, collector.collected) == (0, 1)

    with_collector(check)


def test_round_with_much_garbage_is_collected_once():
    def check(collector):
        resting = heap.Heap()
        collector.used += 8192
        resting.rest()
        resting.rest()
        assert (resting.collections, collector.used) == (1, 65536)

    with_collector(check)


def test_interpreter_collects_long_after_the_board():
    def check(collector):
        heap.Heap()
        assert collector.bound == 32768

    with_collector(check)
