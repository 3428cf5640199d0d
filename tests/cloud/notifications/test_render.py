"""The words of messages: one SMS, name-safe, the time it happened by the school's clock."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.meals.words import MEALS
from cloud.notifications import render
from protocols.money import MAX_MINOR

# 2026-09-01 08:12 in Moscow.
MOMENT = 1_788_239_520
ZONE = "Europe/Moscow"
TWELVE = "Святославлян"


def said(about, language, name="Маша", **more):
    return render.event(about, language, name=name, happened_at=MOMENT, time_zone=ZONE, **more)


@pytest.mark.parametrize(
    ("about", "language", "text"),
    [
        ("entry", "ru", "Маша: вход в школу 08:12"),
        ("entry", "en", "Маша: entered at 08:12"),
        ("exit", "ru", "Маша: выход из школы 08:12"),
        ("exit", "en", "Маша: left at 08:12"),
        ("purchase", "ru", "Маша: обед в 08:12, 96,00\u00a0₽"),
        ("purchase", "en", "Маша: lunch 08:12, RUB 96.00"),
    ],
)
def test_words_are_those_of_the_design(about, language, text):
    good = MEALS["lunch"][language]
    assert said(about, language, good=good, amount_minor=9600) == text


def test_clock_is_that_of_the_school():
    assert render.event("entry", "ru", name="Я", happened_at=MOMENT, time_zone="Asia/Kamchatka").endswith(
        "17:12"
    )


def test_nameless_good_is_a_purchase():
    assert said("purchase", "ru", amount_minor=100) == "Маша: покупка в 08:12, 1,00\u00a0₽"


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("about", ["entry", "exit", "purchase"])
def test_message_with_twelve_letters_is_one_sms(about, language):
    assert len(TWELVE) == 12
    for meal in MEALS.values():
        text = said(about, language, name=TWELVE, good=meal[language], amount_minor=123_456_789)
        assert render.units(text) <= render.UNITS_MAX
        assert TWELVE in text
        assert "…" not in text


@pytest.mark.parametrize("language", ["ru", "en"])
def test_code_comes_first_and_is_one_sms(language):
    text = render.login_code(language, "012345")
    assert text.startswith("012345")
    assert render.units(text) <= render.UNITS_MAX


@example("entry", "ru", "Я" * 100, "", 0)
@example("purchase", "ru", "Я" * 100, "щ" * 100, MAX_MINOR)
@example("purchase", "en", "😀" * 50, "щ" * 100, MAX_MINOR)
@given(
    st.sampled_from(["entry", "exit", "purchase"]),
    st.sampled_from(["ru", "en"]),
    st.text(min_size=1, max_size=100),
    st.text(max_size=100),
    st.integers(0, MAX_MINOR),
)
def test_no_name_makes_two_sms(about, language, name, good, amount_minor):
    text = said(about, language, name=name, good=good, amount_minor=amount_minor)
    assert render.units(text) <= render.UNITS_MAX
    assert "08:12" in text


def test_shortened_never_splits_a_character():
    assert render.shortened("абв", 3) == "абв"
    assert render.shortened("абвг", 3) == "аб…"
    assert render.units(render.shortened("😀😀😀", 4)) == 3
