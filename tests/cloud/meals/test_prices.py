"""Periods of prices: one price a day or none, whatever the order they are given in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.meals.prices import Price, PriceRefused, day_of_iso, gap, iso, on, ordered

DAY = day_of_iso("2026-09-01")
periods = st.lists(
    st.builds(
        lambda start, length, price: Price(start, None if length is None else start + length, price),
        st.integers(100, 160), st.none() | st.integers(0, 20), st.integers(1, 99_999),
    ),
    max_size=6,
)  # fmt: skip


def claims(each: Price, others: list[Price], day: int) -> bool:
    """Whether a period as it was written claims a day: without an end it stops where a later one begins."""
    end = each.to_day
    if end is None:
        later = [other.from_day for other in others if other.from_day > each.from_day]
        end = min(later) - 1 if later else 10_000
    return each.from_day <= day <= end


@given(periods, st.randoms())
def test_each_day_has_the_one_price_that_claims_it(given_periods, random):
    days = range(95, 190)
    clashes = any(sum(claims(each, given_periods, day) for each in given_periods) > 1 for day in days)
    shuffled = list(given_periods)
    random.shuffle(shuffled)
    if clashes:
        with pytest.raises(PriceRefused, match="two prices on"):
            ordered(shuffled)
        return
    found = ordered(shuffled)
    for day in days:
        claiming = [each.price_minor for each in given_periods if claims(each, given_periods, day)]
        assert on(found, day) == (claiming[0] if claiming else None)
    assert ordered(found) == found
    wanted = [day for day in days if found and found[0].from_day <= day <= found[-1].from_day]
    assert gap(found, lambda day: True) == next((day for day in wanted if on(found, day) is None), None)


def test_open_price_ends_where_the_next_begins():
    assert ordered([Price(DAY + 30, None, 9000), Price(DAY, None, 8500)]) == (
        Price(DAY, DAY + 29, 8500),
        Price(DAY + 30, None, 9000),
    )


@pytest.mark.parametrize(
    ("given_periods", "reason"),
    [
        ([Price(DAY, DAY + 9, 1), Price(DAY + 9, None, 2)], "two prices on 2026-09-10"),
        ([Price(DAY, None, 1), Price(DAY, None, 1)], "two prices on 2026-09-01"),
        ([Price(DAY, DAY - 1, 1)], "price from 2026-09-01 ends before it begins"),
        ([Price(DAY, None, 0)], "price is not more than 0"),
        ([Price(-1, None, 5)], "a day that no calendar has"),
        ([Price(DAY, 70_000, 5)], "a day that no calendar has"),
    ],
)
def test_periods_that_cannot_be_are_refused(given_periods, reason):
    with pytest.raises(PriceRefused, match=reason):
        ordered(given_periods)


def test_gap_of_holidays_does_not_matter():
    found = ordered([Price(DAY, DAY + 2, 1), Price(DAY + 5, None, 2)])
    assert gap(found, lambda day: day not in (DAY + 3, DAY + 4)) is None
    assert gap(found, lambda day: day != DAY + 3) == DAY + 4


def test_days_are_read_in_both_spellings():
    assert day_of_iso("01.09.2026") == DAY == day_of_iso(iso(DAY))
    for text in ("2026-9-1", "01.09.26", "2026-02-30", "20260901", "1960-01-01", ""):
        with pytest.raises(ValueError):
            day_of_iso(text)
