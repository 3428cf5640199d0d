"""A sample kitchen for the sample school: a catalogue that is nearly checked, and the menu of its day.

Promises: the same goods each time, through the services of meals.  Leaves the school to sample_school.py.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from cloud import db
from cloud.csv_file import parse_table
from cloud.meals import service as meals
from scripts import sample_school as sample

_HEAD = (
    "code;name;kind;category;meal;contains;may_contain;diets;parts;prices;recipe;portion;"
    "checked_by;checked_on\n"
)
_CHECKED = ";Петрова;2026-08-28\n"
_GOODS = (
    "101;Пюре картофельное;dish;Гарниры;;milk;;vegetarian halal;;2026-09-01=40.00;128;180",
    "102;Каша рисовая молочная с маслом;dish;Завтраки;;milk;gluten;vegetarian;;2026-09-01=46.50;173;210",
    "202;Котлета рыбная любительская;dish;Вторые блюда;;fish eggs gluten;milk;;;2026-09-01=70.00;234;90/5",
    "301;Чай с сахаром;dish;Напитки;;;;vegan halal;;2026-09-01=15.00;376;200",
    "401;Сок яблочный 0,2 л;product;Напитки;;;;vegan;;2026-08-01..2026-08-31=30.00;;200",
    "L1;Обед № 1;complex;Комплексы;lunch;;;;101 202 301;2026-09-01=125.00;;",
)
_UNCHECKED = "402;Булочка с маком;product;Выпечка;;gluten eggs milk;nuts sesame;;;2026-09-01=25.00;;60;;\n"
_MENU = (
    meals.Line("breakfast", "", "гор.блюдо", "102"),
    meals.Line("breakfast", "", "гор.напиток", "301"),
    meals.Line("lunch", "", "2 блюдо", "202"),
    meals.Line("lunch", "", "гарнир", "101"),
    meals.Line("lunch", "", "напиток", "301"),
    meals.Line("snack", "", "выпечка", "402"),
)


def cook(engine: Engine) -> None:
    """Fill the catalogue and the menu of the sample school's day."""
    with db.begin(engine) as conn:
        fill(conn)


def fill(conn: Connection) -> None:
    """The same in the caller's transaction."""
    text = _HEAD + "".join(line + _CHECKED for line in _GOODS) + _UNCHECKED
    table = parse_table("goods.csv", text.encode(), meals.GOODS_COLUMNS)
    meals.import_goods(conn, sample.SCHOOL, table, who="Петрова", now=sample.NOW, unchecked=True)
    today = meals.day_or_today(conn, sample.SCHOOL, "", sample.NOW)
    meals.set_day(conn, sample.SCHOOL, today, _MENU, who="Петрова", now=sample.NOW)
