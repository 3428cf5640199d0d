"""The catalogue: dishes, products and complex meals, and which of them may be offered.

Promises: what nobody has checked for allergens is not offered, and a check is lost with what it was about:
allergens, name, kind or parts; a number is never given to another good; every check and every lost one is
kept with who and when.  A complex meal has the allergens of its parts and is checked when they are too.
Leaves files to goods_file.py and what devices are told to service.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.meals import store
from cloud.meals.prices import Price, on, ordered
from cloud.meals.words import MEALS, hot_meal, meal_of
from protocols import allergens

KINDS = DISH, PRODUCT, COMPLEX = ("dish", "product", "complex")
SOLD, UNCHECKED, NO_PRICE, RETIRED = ("sold", "unchecked", "no_price", "retired")
GOOD_MAX = 0xFFFF
PARTS_MAX = 12
_LAST_MINUTE = 24 * 60 - 1
TEXTS = ("category", "recipe", "portion", "energy", "protein", "fat", "carbohydrate")
# What a check for allergens was about: who changes it has to check again.
_CHECKED = ("name", "kind", "contains", "may_contain", "parts")


class GoodRefused(ValueError):
    """A good cannot be as it was given; carries the reason."""


class Good(NamedTuple):
    """A good as a person writes it down.

    `code`: the school's own, such as a number of a recipe book; `prices`: ordered periods; `parts`: codes of
    what a complex meal is made of; `contains`, `may_contain`, `diets`: bits of protocols.allergens;
    minutes of the school's day, both included; `line`: the number of the devices' menu that it takes over,
    0 for none; texts of nutrition as the kitchen has them, for the menu's workbook.
    """

    code: str
    name: str
    kind: str = DISH
    category: str = ""
    meal: str = ""
    from_minute: int = 0
    to_minute: int = _LAST_MINUTE
    is_service: bool = False
    is_retired: bool = False
    recipe: str = ""
    portion: str = ""
    energy: str = ""
    protein: str = ""
    fat: str = ""
    carbohydrate: str = ""
    contains: int = 0
    may_contain: int = 0
    diets: int = 0
    prices: tuple[Price, ...] = ()
    parts: tuple[str, ...] = ()
    line: int = 0


class Kept(NamedTuple):
    """A good of the catalogue: its number, who has checked it and when (UTC seconds), and whether on a line.

    `contains` and `may_contain` are those of the good and of all its parts.
    """

    good_id: int
    good: Good
    checked_by: str
    checked_at: int | None
    is_on_line: bool
    has_photo: bool
    contains: int
    may_contain: int
    unchecked_parts: tuple[str, ...]

    @property
    def is_checked(self) -> bool:
        return self.checked_at is not None and not self.unchecked_parts

    @property
    def hot_meal(self) -> int:
        """The hot meal 1..7 that a complex meal is, 0 for anything else."""
        return hot_meal(self.good.meal) if self.good.kind == COMPLEX and not self.good.is_service else 0

    def price_minor(self, day: int) -> int | None:
        return on(self.good.prices, day)

    def state(self, day: int) -> str:
        """`sold`, or the first reason why it is not offered that day."""
        if self.good.is_retired:
            return RETIRED
        if not self.is_checked:
            return UNCHECKED
        return SOLD if self.price_minor(day) is not None else NO_PRICE


def check(good: Good) -> Good:
    """The good in its one spelling; GoodRefused when it cannot be."""
    if not good.code or not good.name:
        raise GoodRefused("code is empty" if not good.code else "name is empty")
    if good.kind not in KINDS:
        raise GoodRefused("kind is not dish, product or complex")
    meal = meal_of(good.meal) if good.meal else ""
    if meal and meal not in MEALS:
        raise GoodRefused("meal is none of " + ", ".join(MEALS))
    if not 0 <= good.from_minute <= good.to_minute <= _LAST_MINUTE:
        raise GoodRefused("from is after to: a window over midnight cannot be")
    if good.is_service and (good.contains or good.may_contain or good.diets or good.kind != PRODUCT):
        raise GoodRefused("a service beyond food is a product without allergens and diets")
    lies = allergens.lying_diets(good.contains, good.may_contain, good.diets)
    if lies:
        word = allergens.words_of(lies, allergens.DIETS)[0]
        raise GoodRefused(f"diet {word} cannot be beside these allergens")
    if bool(good.parts) != (good.kind == COMPLEX) and not (good.kind == COMPLEX and good.line):
        raise GoodRefused("parts are what a complex meal has, and nothing else has them")
    if len(good.parts) > PARTS_MAX or len(set(good.parts)) != len(good.parts):
        raise GoodRefused(f"parts are named twice, or more than {PARTS_MAX}")
    return good._replace(
        meal=meal, may_contain=good.may_contain & ~good.contains, prices=ordered(good.prices)
    )


def catalogue(conn: Connection, school_id: int) -> list[Kept]:
    """Every good of a school, by its category and name; retired ones too."""
    rows = store.catalogue(conn, school_id)
    codes = {row.good_id: row.code for row in rows}
    own = {row.good_id: row for row in rows}
    prices, parts = store.prices(conn, school_id), store.parts(conn, school_id)
    lines, photos = store.line_numbers(conn, school_id), store.photo_numbers(conn, school_id)
    found = []
    for row in rows:
        made_of = parts.get(row.good_id, [])
        contains, may = row.contains, row.may_contain
        for part in made_of:
            contains, may = contains | own[part].contains, may | own[part].may_contain
        good = Good(
            row.code, row.name, row.kind, row.category, row.meal, row.from_minute, row.to_minute,
            bool(row.is_service), bool(row.is_retired), row.recipe, row.portion, row.energy, row.protein,
            row.fat, row.carbohydrate, row.contains, row.may_contain, row.diets,
            tuple(Price(*period) for period in prices.get(row.good_id, ())),
            tuple(codes[part] for part in made_of), row.good_id if row.good_id in lines else 0,
        )  # fmt: skip
        found.append(
            Kept(
                row.good_id, good, row.checked_by, row.checked_at, row.good_id in lines,
                row.good_id in photos, contains, may & ~contains,
                tuple(codes[part] for part in made_of if own[part].checked_at is None),
            )
        )  # fmt: skip
    return found


def offered(conn: Connection, school_id: int, day: int) -> list[Kept]:
    """What a till may be told to sell on a day: checked, with a price, not retired."""
    return [kept for kept in catalogue(conn, school_id) if kept.state(day) == SOLD]


def save(
    conn: Connection, school_id: int, goods: Sequence[Good], *, who: str, now: int,
    checks: Mapping[str, tuple[str, int]] | None = None,
) -> list[str]:  # fmt: skip
    """Put goods into the catalogue by their codes, all or (GoodRefused) none; returns the codes that changed.

    `checks`: (who, UTC seconds) of those that a person has checked for allergens, by code.
    Goods that are not named stay as they are.  To be called in a transaction that holds the school's lock.
    """
    known = {kept.good.code: kept for kept in catalogue(conn, school_id)}
    _check_together(conn, school_id, known, goods)
    numbers = {code: kept.good_id for code, kept in known.items()}
    fresh = store.highest_number(conn, school_id) + 1
    for good in goods:
        if good.code not in numbers:
            numbers[good.code] = good.line or fresh
            fresh += 0 if good.line else 1
    if fresh > GOOD_MAX + 1:
        raise GoodRefused("no number left for a new good")
    changed = []
    for good in sorted(goods, key=lambda each: each.kind == COMPLEX):  # parts before what is made of them
        kept = known.get(good.code)
        given = (checks or {}).get(good.code)
        good = good._replace(line=kept.good.line if kept else good.line)
        if kept and kept.good == good and (given is None or given == (kept.checked_by, kept.checked_at)):
            continue
        _write(conn, school_id, numbers, good, kept, given, who, now)
        changed.append(good.code)
    return changed


def _write(
    conn: Connection, school_id: int, numbers: Mapping[str, int], good: Good, kept: Kept | None,
    given: tuple[str, int] | None, who: str, now: int,
) -> None:  # fmt: skip
    """One good, its prices and parts; its check stays, is new, or is lost with what it was about."""
    good_id = numbers[good.code]
    checked = (kept.checked_by, kept.checked_at) if kept else ("", None)
    is_lost = False
    if given:
        checked = given
    elif kept and not keeps_check(kept.good, good):
        is_lost, checked = kept.checked_at is not None, ("", None)
    values = good._asdict() | {"checked_by": checked[0], "checked_at": checked[1]}
    for name in ("prices", "parts", "line"):
        values.pop(name)
    values |= {"is_service": int(good.is_service), "is_retired": int(good.is_retired)}
    store.put_good(conn, school_id, good_id, values, is_new=kept is None)
    store.set_prices(conn, school_id, good_id, good.prices)
    store.set_parts(conn, school_id, good_id, [numbers[code] for code in good.parts])
    if given and given != ((kept.checked_by, kept.checked_at) if kept else None):
        store.add_check(conn, school_id, good_id, given[1], given[0], "checked", good)
    elif is_lost:
        store.add_check(conn, school_id, good_id, now, who, "voided", good)


def _check_together(
    conn: Connection, school_id: int, known: Mapping[str, Kept], goods: Sequence[Good]
) -> None:
    """GoodRefused where goods do not fit each other, those that are there, or the devices' menu."""
    kinds = {code: kept.good for code, kept in known.items()} | {good.code: good for good in goods}
    lines = store.line_numbers(conn, school_id)
    taken = {kept.good_id: code for code, kept in known.items()}
    for good in goods:
        if good.line and good.line not in lines:
            raise GoodRefused(f"{good.code}: the lines' menu has no number {good.line}")
        if good.line and taken.setdefault(good.line, good.code) != good.code:
            raise GoodRefused(f"{good.code}: number {good.line} is another good's")
        if good.line and good.code in known and known[good.code].good_id != good.line:
            raise GoodRefused(f"{good.code}: a good keeps its number")
    for good in kinds.values():
        for code in good.parts:
            if code not in kinds:
                raise GoodRefused(f"{good.code}: part {code} is not in the catalogue")
            if kinds[code].kind == COMPLEX or kinds[code].is_service:
                raise GoodRefused(f"{good.code}: part {code} is no dish or product")


def keeps_check(old: Good, new: Good) -> bool:
    """Whether a check for allergens that was made of `old` is good for `new` too."""
    return all(getattr(old, name) == getattr(new, name) for name in _CHECKED)


def mark_checked(
    conn: Connection, school_id: int, good_id: int, *, contains: int, may_contain: int, diets: int,
    who: str, now: int,
) -> None:  # fmt: skip
    """A person says: these are the allergens and diets of a good, I have checked them.

    GoodRefused without a name, for a good that is not there, or for a diet that cannot be.
    """
    if not who.strip():
        raise GoodRefused("a check has a name")
    kept = one(conn, school_id, good_id)
    good = kept.good._replace(contains=contains, may_contain=may_contain, diets=diets)
    save(conn, school_id, [check(good)], who=who, now=now, checks={good.code: (who.strip(), now)})


def one(conn: Connection, school_id: int, good_id: int) -> Kept:
    """A good by its number; GoodRefused when the catalogue has none."""
    for kept in catalogue(conn, school_id):
        if kept.good_id == good_id:
            return kept
    raise GoodRefused("no such good")


def codes_of(goods: Iterable[Kept]) -> dict[str, Kept]:
    """The goods by their codes."""
    return {kept.good.code: kept for kept in goods}
