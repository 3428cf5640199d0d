"""Bits of allergens: what stands in the vectors is what every side reads."""

import json

from protocols import allergens

with open("protocols/vectors/allergens.json") as _file:
    VECTORS = json.load(_file)


def test_bits_are_those_of_the_vectors():
    for words, known in ((VECTORS["allergens"], allergens.ALLERGENS), (VECTORS["diets"], allergens.DIETS)):
        assert len(words) == len(known)
        for word in known:
            assert allergens.bits_of([word], known) == words[word], word
            assert allergens.words_of(words[word], known) == [word]


def test_words_and_bits_go_both_ways():
    for bits in range(1 << len(allergens.ALLERGENS)):
        if bits % 97 == 0 or bits == allergens.ALL_ALLERGENS:
            assert allergens.bits_of(allergens.words_of(bits)) == bits


def test_unknown_word_is_refused():
    try:
        allergens.bits_of(["milk", "cheese"])
    except ValueError as error:
        assert "cheese" in str(error)
    else:
        raise AssertionError("a word without a bit was taken")


def test_what_is_met_is_that_of_the_vectors():
    for each in VECTORS["met"]:
        got = allergens.met(each["contains"], each["may"], each["avoids"], each["traces"])
        assert got == each["met"], each


def test_diet_that_cannot_be_is_named():
    def lies(contains, may, *diets):
        bits = allergens.lying_diets(
            allergens.bits_of(contains), allergens.bits_of(may), allergens.bits_of(diets, allergens.DIETS)
        )
        return allergens.words_of(bits, allergens.DIETS)

    assert lies(["milk"], [], "vegan", "vegetarian", "lactose_free") == ["vegan"]
    assert lies(["eggs"], [], "vegan") == ["vegan"]
    assert lies(["fish"], [], "vegetarian", "halal") == ["vegetarian"]
    assert lies(["crustaceans"], [], "vegetarian") == ["vegetarian"]
    assert lies(["molluscs"], [], "vegan") == ["vegan"]
    assert lies([], ["gluten"], "gluten_free", "vegan") == ["gluten_free"]
    assert lies(["gluten"], [], "gluten_free") == ["gluten_free"]
    assert lies(allergens.ALLERGENS, allergens.ALLERGENS) == []
