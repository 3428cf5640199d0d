"""Amounts, names and days as people read them."""

import pytest

from cloud import formats
from cloud.formats import SchoolTime

MOSCOW = SchoolTime("Europe/Moscow", "ru")
LONDON = SchoolTime("Europe/London", "en")
SEPTEMBER_1 = 1_788_240_000  # 2026-09-01 08:20 in Moscow


@pytest.mark.parametrize(
    ("minor", "ru", "en"),
    [
        (0, "0,00\u00a0₽", "₽0.00"),
        (5, "0,05\u00a0₽", "₽0.05"),
        (123450, "1\u00a0234,50\u00a0₽", "₽1,234.50"),
        (-9600, "\u221296,00\u00a0₽", "\u2212₽96.00"),
        (123456789012, "1\u00a0234\u00a0567\u00a0890,12\u00a0₽", "₽1,234,567,890.12"),
    ],
)
def test_money_in_both_languages(minor: int, ru: str, en: str) -> None:
    assert formats.money(minor, "RUB", "ru") == ru
    assert formats.money(minor, "RUB", "en") == en


def test_gain_has_its_sign() -> None:
    assert formats.money(50000, "RUB", "ru", plus=True) == "+500,00\u00a0₽"
    assert formats.money(0, "RUB", "ru", plus=True) == "0,00\u00a0₽"


def test_currency_without_a_sign_keeps_its_code() -> None:
    assert formats.money(100, "KZT", "en") == "KZT\u00a01.00"


def test_counts_are_grouped() -> None:
    assert (formats.count(1821, "ru"), formats.count(1821, "en")) == ("1\u00a0821", "1,821")


def test_device_is_called_by_its_place() -> None:
    assert formats.device_name("gate-1", "ru") == "Вход\u00a01"
    assert formats.device_name("line-02", "en") == "Line\u00a02"
    assert formats.device_name("Буфет у зала", "en") == "Буфет у зала"


def test_class_has_its_quotes_in_russian() -> None:
    assert (formats.class_name("2Б", "ru"), formats.class_name("2Б", "en")) == ("2\u00a0«Б»", "2Б")
    assert formats.class_name("Кадеты", "ru") == "Кадеты"


def test_phone_shows_its_end_only() -> None:
    assert formats.hidden_phone("+79899149256") == "•••\u00a092\u00a056"


def test_first_letter_grows() -> None:
    assert formats.sentence("обед") == "Обед"
    assert formats.sentence("") == ""


def test_times_are_the_schools() -> None:
    assert MOSCOW.clock(SEPTEMBER_1) == "08:20"
    assert MOSCOW.clock(SEPTEMBER_1 + 5, seconds=True) == "08:20:05"
    assert LONDON.clock(SEPTEMBER_1) == "06:20"
    assert MOSCOW.weekday(SEPTEMBER_1) == "вторник, 1 сентября"
    assert LONDON.weekday(SEPTEMBER_1) == "Tuesday, 1 September"


def test_days_are_named_from_today() -> None:
    assert MOSCOW.moment(SEPTEMBER_1, SEPTEMBER_1) == "сегодня, 08:20"
    assert MOSCOW.moment(SEPTEMBER_1, SEPTEMBER_1 + 86_400) == "вчера, 08:20"
    assert MOSCOW.moment(SEPTEMBER_1, SEPTEMBER_1 + 9 * 86_400) == "1 сентября, 08:20"
    assert LONDON.date(SEPTEMBER_1, SEPTEMBER_1 + 200 * 86_400) == "1 September 2026"


def test_since_needs_no_today_and_no_yesterday() -> None:
    assert MOSCOW.since(SEPTEMBER_1, SEPTEMBER_1) == "08:20"
    assert MOSCOW.since(SEPTEMBER_1, SEPTEMBER_1 + 86_400) == "1 сентября, 08:20"


def test_school_day_begins_at_local_midnight() -> None:
    day = MOSCOW.day(SEPTEMBER_1)
    first, after = MOSCOW.day_bounds(day)
    assert (MOSCOW.clock(first), MOSCOW.day(first), MOSCOW.day(first - 1)) == ("00:00", day, day - 1)
    assert after - first == 86_400
    assert MOSCOW.day_name(day) == "1 сентября 2026"


def test_day_of_a_clock_change_has_23_hours() -> None:
    berlin = SchoolTime("Europe/Berlin", "en")
    first, after = berlin.day_bounds(berlin.day(1_774_746_000))  # 2026-03-29
    assert after - first == 23 * 3600
