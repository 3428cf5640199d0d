"""Allergens and diets as bits: what a dish has, what a child must not have, and whether the two meet.

Promises: a bit is never given to another word; numbers fit 16 bits; pure, small enough for a controller.  The
fourteen allergens are those of Annex II of Regulation (EU) 1169/2011, which the technical regulation of the
Customs Union TR CU 022/2011 names too.  Leaves the words that people read to the pages.
"""

ALLERGENS = (
    "gluten",
    "crustaceans",
    "eggs",
    "fish",
    "peanuts",
    "soybeans",
    "milk",
    "nuts",
    "celery",
    "mustard",
    "sesame",
    "sulphites",
    "lupin",
    "molluscs",
)
DIETS = ("vegetarian", "vegan", "halal", "kosher", "gluten_free", "lactose_free", "no_sugar", "lean")

ALL_ALLERGENS = (1 << len(ALLERGENS)) - 1
ALL_DIETS = (1 << len(DIETS)) - 1

# A diet mark is a lie when the dish contains one of these; a trace does not change what a dish is made of,
# but for gluten, where the trace is what the mark is about.  Lactose-free milk still is milk.
_MEAT_OF_THE_SEA = 0b10_0000_0000_1010
_NEVER_WITH = {
    "vegetarian": _MEAT_OF_THE_SEA,
    "vegan": _MEAT_OF_THE_SEA | 0b100_0100,
    "gluten_free": 0b1,
}


def bits_of(words, known: tuple = ALLERGENS) -> int:
    """The bits of some words; ValueError with the first word that is not one of `known`."""
    found = 0
    for word in words:
        if word not in known:
            raise ValueError(word)
        found |= 1 << known.index(word)
    return found


def words_of(bits: int, known: tuple = ALLERGENS) -> list:
    """The words of some bits, in the order of their bits; bits without a word have none."""
    return [word for place, word in enumerate(known) if bits >> place & 1]


def met(contains: int, may_contain: int, avoids: int, avoids_traces: int) -> int:
    """Bits that forbid a dish: `avoids` are met by what it contains, `avoids_traces` by what it may too.

    A dish is fit when the answer is 0.
    """
    return contains & (avoids | avoids_traces) | may_contain & avoids_traces


def lying_diets(contains: int, may_contain: int, diets: int) -> int:
    """The diet marks that cannot be true beside these allergens."""
    found = 0
    for place, word in enumerate(DIETS):
        against = contains & _NEVER_WITH.get(word, 0)
        if word == "gluten_free":
            against |= may_contain & _NEVER_WITH[word]
        if diets >> place & 1 and against:
            found |= 1 << place
    return found
