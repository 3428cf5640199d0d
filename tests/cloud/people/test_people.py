"""Schools and the log of reads; names come out through this room only."""

import pytest

from cloud.db import begin
from cloud.people import service as people
from tests.cloud.schools import add_pupils, add_school


def test_new_school_has_random_numbers(store):
    with begin(store) as conn:
        number = people.create_school(conn, "Школа 15", "Asia/Omsk", settings={"message_stale_s": None})
        other = people.create_school(conn, "Школа 16", "Europe/Moscow")
        school = people.school(conn, number)
        assert (school.name, school.time_zone, school.currency) == ("Школа 15", "Asia/Omsk", "RUB")
        assert school.message_stale_s is None
        assert people.school(conn, other).message_stale_s == 7200
        assert {each.school_id for each in people.schools(conn)} == {number, other}
    assert number != other
    assert 0 < number < 2**32


def test_stale_limit_leaves_other_settings_alone(store):
    with begin(store) as conn:
        number = people.create_school(conn, "Школа", "Europe/Moscow", settings={"devices": {"gate": {}}})
        people.set_message_stale_s(conn, number, 600)
        school = people.school(conn, number)
        assert school.message_stale_s == 600
        assert school.settings["devices"] == {"gate": {}}
        people.set_message_stale_s(conn, number, None)
        assert people.school(conn, number).message_stale_s is None
        with pytest.raises(ValueError, match="message_stale_s"):
            people.set_message_stale_s(conn, number, 0)


def test_school_needs_a_real_zone(store_sqlite):
    with begin(store_sqlite) as conn:
        for zone in ("Mars/Base", "", "../etc/passwd"):
            with pytest.raises(ValueError, match="time_zone"):
                people.create_school(conn, "Школа", zone)
        with pytest.raises(people.NoSuchSchool):
            people.school(conn, 1)


def test_taken_numbers_are_drawn_again():
    drawn = iter([b"\x01\0\0\0", b"\0\0\0\0", b"\x02\0\0\0", b"\x02\0\0\0", b"\x03\0\0\0"])
    assert people.new_ids({1}, 2, lambda size: next(drawn)) == [2, 3]


def test_read_by_staff_is_logged(store):
    school_id = add_school(store)
    with begin(store) as conn:
        (account,) = add_pupils(conn, school_id, 1)
    staff = people.Staff("office:1", "phone call", 1_800_000_000)
    with begin(store) as conn:
        people.pupils(conn, school_id)
        people.pupil(conn, school_id, account)
        assert people.reads(conn, school_id) == []
        people.pupils(conn, school_id, staff)
        people.pupil(conn, school_id, account, staff)
        people.adults_of(conn, school_id, account, staff)
        assert people.reads(conn, school_id) == [
            (1_800_000_000, "office:1", f"adults of {account:08x}", "phone call"),
            (1_800_000_000, "office:1", f"pupil {account:08x}", "phone call"),
            (1_800_000_000, "office:1", "pupils", "phone call"),
        ]


def test_classes_have_a_home_device(store):
    school_id = add_school(store)
    with begin(store) as conn:
        add_pupils(conn, school_id, 2, classes=2)
        people.set_home_device(conn, school_id, 2, 0xFFFFFFFF)
        assert [group.home_device for group in people.classes(conn, school_id)] == [None, 0xFFFFFFFF]
        assert [account.home_device for account in people.accounts(conn, school_id)] == [None, 0xFFFFFFFF]
        assert people.pupil(conn, school_id, 1) is None


def test_language_is_one_of_two(store):
    school_id = add_school(store)
    with begin(store) as conn, pytest.raises(ValueError, match="language"):
        people.set_language(conn, school_id, 1, "de")
