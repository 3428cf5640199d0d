"""Layouts refuse what does not fit, on both interpreters."""

from protocols import errors
from protocols.fields import Layout

ALL = Layout("all", "a u8, b u16, c u32, d u64, e i16, f i32, g bytes3")
LOW = (0, 0, 0, 0, -0x8000, -0x80000000, b"abc")
HIGH = (0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0x7FFF, 0x7FFFFFFF, b"xyz")


def refusal(call, *values):
    try:
        call(*values)
    except errors.Fault as fault:
        return fault.code, fault.thing
    return errors.OK, ""


def test_limits_survive_the_round_trip():
    for values in (LOW, HIGH):
        assert ALL.unpack(ALL.pack(*values)) == values


def test_values_beyond_a_limit_are_named():
    for index, name in enumerate(ALL.names[:6]):
        for base, step in ((LOW, -1), (HIGH, 1)):
            values = list(base)
            values[index] += step
            assert refusal(ALL.pack, *values) == (errors.FIELD_RANGE, "all." + name)
    assert refusal(ALL.pack, *LOW[:6], b"ab")[1] == "all.g"
    assert refusal(ALL.pack, 1)[0] == errors.FIELD_RANGE


def test_short_buffers_are_refused():
    raw = ALL.pack(*HIGH)
    for size in range(ALL.size):
        assert refusal(ALL.unpack, raw[:size])[0] == errors.WIRE_BODY
    assert refusal(ALL.unpack, raw, 1)[0] == errors.WIRE_BODY
    assert refusal(ALL.unpack, raw, -1)[0] == errors.WIRE_BODY
