"""Names of school classes as rosters spell them."""

import pytest

from cloud.people.class_names import NoClass, by_year, normal_class


@pytest.mark.parametrize("text", ["2Б", "2б", " 2 Б ", "2-Б", "2 «Б»", '2"б"', "2\u00a0Б"])
def test_spellings_of_a_class_are_one(text):
    assert normal_class(text) == "2Б"


def test_latin_twin_letters_are_cyrillic():
    assert [normal_class(f"11{latin}") for latin in "ABEKMHOPCTYX"] == [
        f"11{letter}" for letter in "АВЕКМНОРСТУХ"
    ]


@pytest.mark.parametrize(
    "text", ["", "Б", "0А", "12А", "99Я", "5", "5Z", "5Ъ", "5АБВ", "Иванов", "5А1", "-5А?"]
)
def test_what_is_no_class_is_refused(text):
    with pytest.raises(NoClass):
        normal_class(text)


def test_classes_sort_by_year():
    assert sorted(["10А", "9В", "9А", "1Б"], key=by_year) == ["1Б", "9А", "9В", "10А"]
