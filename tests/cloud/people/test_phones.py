"""Phones as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.people.phones import NoPhone, normal_phone


@pytest.mark.parametrize(
    "text",
    [
        "+79899149256",
        "+7 9899149256",
        "89899149256",
        "8 (989) 914-92-56",
        "7 989 914 92 56",
        "9899149256",
        " +7\u00a0989.914\u201192\u201156 ",
    ],
)
def test_russian_spellings_are_one_phone(text):
    assert normal_phone(text) == "+79899149256"


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+375 29 123-45-67", "+375291234567"),
        ("+49 30 901820", "+4930901820"),
        ("+77012345678", "+77012345678"),
    ],
)
def test_other_countries_are_taken_with_plus(text, phone):
    assert normal_phone(text) == phone


@pytest.mark.parametrize(
    "text",
    [
        "",
        "нет",
        "+",
        "12345",
        "8989914925",
        "898991492567",
        "+7 989 914 92 5",
        "+7 0899149256",
        "+0 9899149256",
        "8 989 914 92 56, доб. 3",
        "89899149256 89899149257",
        "٨٩٨٩٩١٤٩٢٥٦",
        "+1234567",
        "+1234567890123456",
        "375291234567",
    ],
)
def test_what_is_no_phone_is_refused(text):
    with pytest.raises(NoPhone) as refused:
        normal_phone(text)
    # The reason lands in logs: it must not carry the number.
    assert not text or text not in str(refused.value)


_SPACES = st.text(" -()", max_size=2)


@given(
    st.from_regex(r"\A[3-9][0-9]{9}\Z", fullmatch=True),
    st.sampled_from(["+7", "8", "7", ""]),
    st.lists(_SPACES, min_size=10, max_size=10),
)
def test_any_russian_spelling_gives_e164(digits, country, gaps):
    digits = digits if country else "9" + digits[1:]
    written = country + "".join(gap + digit for gap, digit in zip(gaps, digits, strict=True))
    assert normal_phone(written) == "+7" + digits


@given(st.text(st.sampled_from("+0123456789 -()абв"), max_size=20))
def test_normal_phone_is_stable(text):
    try:
        phone = normal_phone(text)
    except NoPhone:
        return
    assert normal_phone(phone) == phone
    assert phone[0] == "+"
    assert phone[1:].isascii()
    assert phone[1:].isdigit()
    assert 8 <= len(phone) - 1 <= 15
