"""What is wrong with a line or cell of a kitchen's file, in Russian: importers say it in English, as logs do.

Promises: a reason without Russian is shown as it is.  Pure words, no store.
"""

import re

from cloud.meals.words import ALLERGENS_RU, DIETS_RU, MEALS

_WORDS = {code: word for table in (ALLERGENS_RU, DIETS_RU) for word, code in table.items()}
_RUSSIAN = (
    (r"column missing: (.+)", r"нет столбца: \1"),
    (r"column given twice: (.+)", r"столбец назван дважды: \1"),
    (r"the file is empty", "файл пуст"),
    (r"the file is UTF-16: save it as CSV UTF-8", "файл в UTF-16: сохраните его как CSV UTF-8"),
    (r"malformed line: (\d+) fields, the header has (\d+)", r"в строке полей: \1, в заголовке: \2"),
    (r"malformed line: .+", "строку не удалось разобрать"),
    (r"the line cannot be decoded: .+", "буквы строки в другой кодировке, чем весь файл"),
    (r"(\w+) is empty", r"пусто: \1"),
    (r"(\w+) is longer than (\d+) letters", r"\1: больше \2 букв"),
    (r"kind is not dish, product or complex", "kind: не блюдо, не товар и не комплекс"),
    (r"meal is none of .*", "нет такого приёма пищи: " + ", ".join(words["ru"] for words in MEALS.values())),
    (r"from is after to: .+", "время from позже to"),
    (r"a service beyond food .+", "услуга: только товар без аллергенов и диет"),
    (r"diet (\w+) cannot be beside these allergens", r"диета «\1» не сочетается с аллергенами"),
    (r"parts are what a complex meal has, .+", "состав parts бывает только у комплекса, и он там нужен"),
    (r"parts are named twice, or more than (\d+)", r"часть названа дважды или их больше \1"),
    (r"(\S+): part (\S+) is not in the catalogue", r"\1: части \2 нет в списке"),
    (r"(\S+): part (\S+) is no dish or product", r"\1: часть \2 не блюдо и не товар"),
    (r"(\S+): the lines' menu has no number (\d+)", r"\1: в меню линий нет номера \2"),
    (r"(\S+): number (\d+) is another good's", r"\1: номер \2 занят"),
    (r"(\S+): a good keeps its number", r"\1: номер товара не меняется"),
    (r"price is not more than 0", "цена не больше нуля"),
    (r"a day that no calendar has", "такого дня нет в календаре"),
    (r"two prices on (\S+)", r"две цены на \1"),
    (r"price from (\S+) ends before it begins", r"цена с \1 кончается раньше, чем начинается"),
    (
        r"no price on (\S+), a school day between two prices",
        r"нет цены на \1: учебный день между двумя ценами",
    ),
    (r"prices are no periods .+", "цены пишутся так: 2026-09-01=85.00"),
    (r"prices have an amount that is none .+", "цена не такая, как 85.00: не больше двух знаков"),
    (r"(\w+) has no date such as (\S+)", r"\1: нет даты вида \2"),
    (r"(\w+) is no time such as (\S+)", r"\1: нет времени вида \2"),
    (r"not checked for allergens: .+", "не проверено на аллергены: пусто checked_by и checked_on"),
    (r"checked_by and checked_on belong together", "checked_by и checked_on нужны оба"),
    (r"checked_on is after today", "checked_on позже сегодняшнего дня"),
    (r"checked_on is before the check that stands", "checked_on раньше действующей проверки"),
    (r"(\w+) has a word that is none of (.*)", r"\1: неизвестное слово; есть: \2"),
    (r"a code of an earlier line", "код уже был в строке выше"),
    (r"code has a space", "в коде пробел"),
    (r"(\w+) is none of (.*)", r"\1: допустимо \2"),
    (r"line is no number of the lines' menu", "line: не номер меню линий"),
    (r"the file is larger than .+", "файл слишком велик"),
    (r"the file is no workbook such as \.xlsx", "это не файл .xlsx"),
    (r"the headings (.+) are not in the first ten rows", r"в первых десяти строках нет заголовков \1"),
    (r"the column (.+) must stand here, it stands in (\S+)", r"здесь должен быть столбец «\1», он в \2"),
    (r"the column (.+) must stand here", r"здесь должен быть столбец «\1»"),
    (r"no date such as (\S+)", r"нет даты вида \1"),
    (r"the file is not called like (\S+)", r"файл должен называться как \1"),
    (r"another day than in the name of the file", "день не тот, что в имени файла"),
    (r"a price without a dish", "цена без блюда"),
    (r"the meal of this dish is not named", "не назван приём пищи"),
    (r"no dish", "нет ни одного блюда"),
    (r"several dishes have this name: .+", "таких блюд несколько: нужен номер рецептуры"),
    (r"no such dish in the catalogue", "такого блюда нет в списке"),
    (r"the dish is retired", "блюдо снято с продажи"),
    (r"the dish is not checked for allergens", "блюдо не проверено на аллергены"),
    (r"no amount such as (\S+) .+", r"не цена вида \1: не больше двух знаков"),
    (r"the catalogue has no price on that day", "в списке нет цены на этот день"),
    (r"the catalogue says (\S+) on that day", r"в списке на этот день \1"),
    (r"no number left for a new good", "не осталось номеров для новых товаров"),
)
_CELL = re.compile(r"([A-L]\d+: )?(.*)", re.DOTALL)


def in_language(reason: str, language: str) -> str:
    """A reason of an importer in `ru` or `en`; the cell that it begins with stays."""
    if language != "ru":
        return reason
    cell, words = _CELL.fullmatch(reason).groups()  # type: ignore[union-attr]
    # A good's code may look like a cell: `L2: part 77 is not in the catalogue`.
    said = _said(reason)
    if said is None and cell:
        said = _said(words)
        return reason if said is None else cell + said
    return reason if said is None else said


def _said(words: str) -> str | None:
    for pattern, russian in _RUSSIAN:
        known = re.fullmatch(pattern, words)
        if known:
            said = known.expand(russian)
            for code, word in _WORDS.items():
                said = re.sub(rf"\b{code}\b", word, said)
            return said
    return None
