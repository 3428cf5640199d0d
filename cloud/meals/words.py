"""The meals that every school knows, in the languages of the messages.  Pure words, no store."""

MEALS = {
    "breakfast": {"ru": "завтрак", "en": "breakfast"},
    "second breakfast": {"ru": "второй завтрак", "en": "second breakfast"},
    "lunch": {"ru": "обед", "en": "lunch"},
    "snack": {"ru": "полдник", "en": "snack"},
    "tea": {"ru": "чай", "en": "tea"},
    "dinner": {"ru": "ужин", "en": "dinner"},
}
# How many of a good: an SMS in English has no multiplication sign (GSM-7).
TIMES = {"ru": "×", "en": "x"}
_BY_WORD = {word: meal for meal, words in MEALS.items() for word in words.values()}
# Hot meals by their number on the devices, 1..7; the first four fit into an account table.
_NUMBERS = {"breakfast": 1, "lunch": 2, "snack": 3, "dinner": 4, "second breakfast": 5, "tea": 6}


def hot_meal(meal: str) -> int:
    """The number 1..7 of a hot meal, which benefits and meal credit may pay for; 0 for any other good."""
    return _NUMBERS.get(meal, 0)


HOT_MEALS = tuple(range(1, 7))


def word_of_hot_meal(number: int) -> str:
    """The word of a hot meal 1..7 as codes of the books have it: `second-breakfast`."""
    words = {each: meal.replace(" ", "-") for meal, each in _NUMBERS.items()}
    return words.get(number, str(number))


def meal_of(name: str) -> str:
    """The meal a school means by a name (`Обед` is `lunch`), or the name itself."""
    return _BY_WORD.get(name.strip().lower(), name.strip())


# Allergens, diets and kinds as a Russian kitchen writes them in its files; the codes are those of protocols.
ALLERGENS_RU = {
    "глютен": "gluten", "ракообразные": "crustaceans", "яйца": "eggs", "рыба": "fish", "арахис": "peanuts",
    "соя": "soybeans", "молоко": "milk", "орехи": "nuts", "сельдерей": "celery", "горчица": "mustard",
    "кунжут": "sesame", "сульфиты": "sulphites", "люпин": "lupin", "моллюски": "molluscs",
}  # fmt: skip
DIETS_RU = {
    "вегетарианское": "vegetarian", "веганское": "vegan", "халяль": "halal", "кошерное": "kosher",
    "без_глютена": "gluten_free", "без_лактозы": "lactose_free", "без_сахара": "no_sugar", "постное": "lean",
}  # fmt: skip
KINDS_RU = {"блюдо": "dish", "товар": "product", "комплекс": "complex"}
