"""The meals that every school knows, in the languages of the messages.  Pure words, no store."""

MEALS = {
    "breakfast": {"ru": "завтрак", "en": "breakfast"},
    "second breakfast": {"ru": "второй завтрак", "en": "second breakfast"},
    "lunch": {"ru": "обед", "en": "lunch"},
    "snack": {"ru": "полдник", "en": "snack"},
    "tea": {"ru": "чай", "en": "tea"},
    "dinner": {"ru": "ужин", "en": "dinner"},
}
_BY_WORD = {word: meal for meal, words in MEALS.items() for word in words.values()}


def meal_of(name: str) -> str:
    """The meal a school means by a name (`Обед` is `lunch`), or the name itself."""
    return _BY_WORD.get(name.strip().lower(), name.strip())
