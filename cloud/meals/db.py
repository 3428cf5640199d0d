"""The tables of the catalogue: goods, their prices, parts, photos and checks; menus and school days.

Promises: a good of the catalogue and a line of the devices' menu (`good` in cloud/db.py) share their numbers,
so that a number names one thing for ever.  Leaves SQL to store.py.
"""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, UniqueConstraint

from cloud.columns import key, maybe, metadata, number, one_of, raw, refers, row_number, text

catalogue_good = Table(
    "catalogue_good", metadata,
    key("school_id"), key("good_id"), text("code"), text("name"), text("kind"), text("category", ""),
    text("meal", ""), number("from_minute", 0), number("to_minute", 1439), number("is_service", 0),
    number("is_retired", 0), number("has_price", 1),
    text("recipe", ""), text("portion", ""), text("energy", ""), text("protein", ""), text("fat", ""),
    text("carbohydrate", ""),
    number("contains", 0), number("may_contain", 0), number("diets", 0),
    text("checked_by", ""), maybe("checked_at"),
    UniqueConstraint("school_id", "code"), refers("school", "school_id"),
    one_of("kind", "dish", "product", "complex"),
    CheckConstraint("good_id BETWEEN 1 AND 65535", name="good_id_range"),
    CheckConstraint(
        "contains BETWEEN 0 AND 16383 AND may_contain BETWEEN 0 AND 16383", name="allergens_known",
    ),
    CheckConstraint(
        "0 <= from_minute AND from_minute <= to_minute AND to_minute < 1440", name="window_of_a_day",
    ),
    CheckConstraint("(checked_by = '') = (checked_at IS NULL)", name="check_has_a_name"),
)  # fmt: skip
# Both days included; without a last day a price is in force until somebody ends it.
good_price = Table(
    "good_price", metadata,
    key("school_id"), key("good_id"), key("from_day"), maybe("to_day"), number("price_minor"),
    refers("catalogue_good", "school_id", "good_id"),
    CheckConstraint("price_minor > 0", name="price_positive"),
    CheckConstraint("to_day IS NULL OR from_day <= to_day", name="days_in_order"),
)  # fmt: skip
# What a complex meal is made of.
good_part = Table(
    "good_part", metadata,
    key("school_id"), key("good_id"), key("part_id"), number("place"),
    refers("catalogue_good", "school_id", "good_id"),
)  # fmt: skip
good_photo = Table(
    "good_photo", metadata,
    key("school_id"), key("good_id"), text("media_type"), raw("image"), number("width"), number("height"),
    number("added_at"), refers("catalogue_good", "school_id", "good_id"),
)  # fmt: skip
# Who has checked a good, who has lost it its check, and when: rows are only added.
good_check = Table(
    "good_check", metadata,
    row_number(), number("school_id"), number("good_id"), number("at"), text("who"), text("what"),
    number("contains"), number("may_contain"),
    refers("catalogue_good", "school_id", "good_id"), one_of("what", "checked", "voided"),
    Index("good_check_of_good", "school_id", "good_id"),
)  # fmt: skip
catalogue_rule = Table(
    "catalogue_rule", metadata,
    key("school_id"), number("checked_only", 0), number("week_days", 5), refers("school", "school_id"),
    CheckConstraint("week_days IN (5, 6)", name="week_days_known"),
)  # fmt: skip
# A menu that repeats: place 0 is the Monday of its first week.
menu_cycle = Table(
    "menu_cycle", metadata,
    key("school_id"), key("from_day"), number("weeks"), refers("school", "school_id"),
    CheckConstraint("weeks BETWEEN 1 AND 12", name="weeks_range"),
)  # fmt: skip
menu_cycle_line = Table(
    "menu_cycle_line", metadata,
    key("school_id"), key("from_day"), key("place"), Column("meal", Text, primary_key=True),
    Column("ages", Text, primary_key=True), key("position"), text("section", ""), number("good_id"),
    refers("menu_cycle", "school_id", "from_day"), refers("catalogue_good", "school_id", "good_id"),
)  # fmt: skip
# A day that has a menu of its own: its lines are all that day, also when there are none.
menu_day = Table(
    "menu_day", metadata,
    key("school_id"), key("day"), text("who", ""), number("changed_at"), refers("school", "school_id"),
)  # fmt: skip
menu_day_line = Table(
    "menu_day_line", metadata,
    key("school_id"), key("day"), Column("meal", Text, primary_key=True),
    Column("ages", Text, primary_key=True), key("position"), text("section", ""), number("good_id"),
    refers("menu_day", "school_id", "day"), refers("catalogue_good", "school_id", "good_id"),
)  # fmt: skip
# Days that are not what their weekday says: a holiday, a working Saturday.
school_day = Table(
    "school_day", metadata,
    key("school_id"), key("day"), number("is_school"), text("why", ""), refers("school", "school_id"),
)  # fmt: skip
