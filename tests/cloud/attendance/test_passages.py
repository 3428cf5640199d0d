"""Passages: once for each record, three answers, two times."""

from cloud.attendance import service as attendance
from cloud.attendance.service import Passage
from cloud.db import begin, reading
from tests.cloud.schools import add_pupils, add_school

DAY = 20_000
EIGHT = DAY * 86_400 + 8 * 3600
GATE, OTHER = 0xD1, 0xD2


def passage(seq, account_id, *, at=EIGHT, direction="in", turned=True, device_id=GATE, day=DAY):
    return Passage(device_id, 1, seq, account_id, day, at, at + 5, direction, turned)


def record(store, school_id, *passages):
    with begin(store) as conn:
        return attendance.record_passages(conn, school_id, passages)


def today(store, school_id, account_id, day=DAY):
    with reading(store) as conn:
        return attendance.today(conn, school_id, account_id, day)


def test_passages_come_back_in_order(store):
    school_id = add_school(store)
    with begin(store) as conn:
        masha, vanya = add_pupils(conn, school_id, 2)
    came = passage(7, masha)
    left = passage(3, masha, at=EIGHT + 3600, direction="out", device_id=OTHER)
    assert record(store, school_id, left, came, passage(8, vanya)) == [left, came, passage(8, vanya)]
    assert today(store, school_id, masha) == [came, left]
    assert today(store, school_id, masha, DAY + 1) == []


def test_same_record_again_is_not_new(store):
    school_id = add_school(store)
    with begin(store) as conn:
        (masha,) = add_pupils(conn, school_id, 1)
    first, second = passage(1, masha), passage(2, masha, at=EIGHT + 9)
    assert record(store, school_id, first, first) == [first]
    assert record(store, school_id, first, second) == [second]
    assert len(today(store, school_id, masha)) == 2


def test_answer_has_three_states():
    assert attendance.answer([]) == (attendance.UNKNOWN, 0, 0, 0)
    not_turned = passage(1, 5, turned=False)
    assert attendance.answer([not_turned]).state == attendance.UNKNOWN
    came = passage(2, 5)
    assert attendance.answer([not_turned, came]) == (attendance.IN, EIGHT, EIGHT + 5, GATE)
    left = passage(3, 5, at=EIGHT + 60, direction="out")
    tapped_back = passage(4, 5, at=EIGHT + 90, turned=False)
    assert attendance.answer([came, left, tapped_back]) == (attendance.OUT, EIGHT + 60, EIGHT + 65, GATE)


def test_counts_of_a_day_and_of_all(store):
    school_id = add_school(store)
    with begin(store) as conn:
        (masha,) = add_pupils(conn, school_id, 1)
    record(
        store, school_id,
        passage(1, masha), passage(2, masha, turned=False), passage(3, masha, direction="out"),
        passage(4, masha, direction="out", turned=False), passage(5, masha, day=DAY + 1),
    )  # fmt: skip
    with reading(store) as conn:
        assert attendance.counts(conn, school_id, DAY) == (1, 1, 2)
        assert attendance.counts(conn, school_id) == (2, 1, 2)
        assert attendance.counts(conn, school_id + 1) == (0, 0, 0)
