"""The catalogue: goods with allergens, prices, parts, photos and checks; menus that repeat; school days."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TYPES = {
    "sqlite": {"big": "INTEGER", "bytes": "BLOB", "number": "INTEGER NOT NULL"},
    "postgresql": {"big": "BIGINT", "bytes": "BYTEA", "number": "BIGSERIAL NOT NULL"},
}
_STATEMENTS = (
    """CREATE TABLE catalogue_good (
    school_id {big} NOT NULL, good_id {big} NOT NULL, code TEXT NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, category TEXT DEFAULT '' NOT NULL, meal TEXT DEFAULT '' NOT NULL,
    from_minute {big} DEFAULT '0' NOT NULL, to_minute {big} DEFAULT '1439' NOT NULL,
    is_service {big} DEFAULT '0' NOT NULL, is_retired {big} DEFAULT '0' NOT NULL,
    has_price {big} DEFAULT '1' NOT NULL, recipe TEXT DEFAULT '' NOT NULL, portion TEXT DEFAULT '' NOT NULL,
    energy TEXT DEFAULT '' NOT NULL, protein TEXT DEFAULT '' NOT NULL, fat TEXT DEFAULT '' NOT NULL,
    carbohydrate TEXT DEFAULT '' NOT NULL, contains {big} DEFAULT '0' NOT NULL,
    may_contain {big} DEFAULT '0' NOT NULL, diets {big} DEFAULT '0' NOT NULL,
    checked_by TEXT DEFAULT '' NOT NULL, checked_at {big}, PRIMARY KEY (school_id, good_id),
    UNIQUE (school_id, code), FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT kind_known CHECK (kind IN ('dish', 'product', 'complex')),
    CONSTRAINT good_id_range CHECK (good_id BETWEEN 1 AND 65535),
    CONSTRAINT allergens_known CHECK (contains BETWEEN 0 AND 16383 AND may_contain BETWEEN 0 AND 16383),
    CONSTRAINT window_of_a_day CHECK (0 <= from_minute AND from_minute <= to_minute AND to_minute < 1440),
    CONSTRAINT check_has_a_name CHECK ((checked_by = '') = (checked_at IS NULL)))""",
    """CREATE TABLE good_price (
    school_id {big} NOT NULL, good_id {big} NOT NULL, from_day {big} NOT NULL, to_day {big},
    price_minor {big} NOT NULL, PRIMARY KEY (school_id, good_id, from_day),
    FOREIGN KEY(school_id, good_id) REFERENCES catalogue_good (school_id, good_id),
    CONSTRAINT price_positive CHECK (price_minor > 0),
    CONSTRAINT days_in_order CHECK (to_day IS NULL OR from_day <= to_day))""",
    """CREATE TABLE good_part (
    school_id {big} NOT NULL, good_id {big} NOT NULL, part_id {big} NOT NULL, place {big} NOT NULL,
    PRIMARY KEY (school_id, good_id, part_id),
    FOREIGN KEY(school_id, good_id) REFERENCES catalogue_good (school_id, good_id))""",
    """CREATE TABLE good_photo (
    school_id {big} NOT NULL, good_id {big} NOT NULL, media_type TEXT NOT NULL, image {bytes} NOT NULL,
    width {big} NOT NULL, height {big} NOT NULL, added_at {big} NOT NULL, PRIMARY KEY (school_id, good_id),
    FOREIGN KEY(school_id, good_id) REFERENCES catalogue_good (school_id, good_id))""",
    """CREATE TABLE good_check (
    id {number}, school_id {big} NOT NULL, good_id {big} NOT NULL, at {big} NOT NULL, who TEXT NOT NULL,
    what TEXT NOT NULL, contains {big} NOT NULL, may_contain {big} NOT NULL, PRIMARY KEY (id),
    FOREIGN KEY(school_id, good_id) REFERENCES catalogue_good (school_id, good_id),
    CONSTRAINT what_known CHECK (what IN ('checked', 'voided')))""",
    "CREATE INDEX good_check_of_good ON good_check (school_id, good_id)",
    """CREATE TABLE catalogue_rule (
    school_id {big} NOT NULL, checked_only {big} DEFAULT '0' NOT NULL, week_days {big} DEFAULT '5' NOT NULL,
    PRIMARY KEY (school_id), FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT week_days_known CHECK (week_days IN (5, 6)))""",
    """CREATE TABLE menu_cycle (
    school_id {big} NOT NULL, from_day {big} NOT NULL, weeks {big} NOT NULL,
    PRIMARY KEY (school_id, from_day), FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT weeks_range CHECK (weeks BETWEEN 1 AND 12))""",
    """CREATE TABLE menu_cycle_line (
    school_id {big} NOT NULL, from_day {big} NOT NULL, place {big} NOT NULL, meal TEXT NOT NULL,
    ages TEXT NOT NULL, position {big} NOT NULL, section TEXT DEFAULT '' NOT NULL, good_id {big} NOT NULL,
    PRIMARY KEY (school_id, from_day, place, meal, ages, position),
    FOREIGN KEY(school_id, from_day) REFERENCES menu_cycle (school_id, from_day),
    FOREIGN KEY(school_id, good_id) REFERENCES catalogue_good (school_id, good_id))""",
    """CREATE TABLE menu_day (
    school_id {big} NOT NULL, day {big} NOT NULL, who TEXT DEFAULT '' NOT NULL, changed_at {big} NOT NULL,
    PRIMARY KEY (school_id, day), FOREIGN KEY(school_id) REFERENCES school (school_id))""",
    """CREATE TABLE menu_day_line (
    school_id {big} NOT NULL, day {big} NOT NULL, meal TEXT NOT NULL, ages TEXT NOT NULL,
    position {big} NOT NULL, section TEXT DEFAULT '' NOT NULL, good_id {big} NOT NULL,
    PRIMARY KEY (school_id, day, meal, ages, position),
    FOREIGN KEY(school_id, day) REFERENCES menu_day (school_id, day),
    FOREIGN KEY(school_id, good_id) REFERENCES catalogue_good (school_id, good_id))""",
    """CREATE TABLE school_day (
    school_id {big} NOT NULL, day {big} NOT NULL, is_school {big} NOT NULL, why TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (school_id, day), FOREIGN KEY(school_id) REFERENCES school (school_id))""",
)


def upgrade() -> None:
    """Add the tables; the lines' menu that is there sells on, without a row in the catalogue."""
    conn = op.get_bind()
    for statement in _STATEMENTS:
        conn.exec_driver_sql(statement.format(**_TYPES[conn.dialect.name]))


def downgrade() -> None:
    """There is no way back: who has checked what for allergens would be forgotten."""
    raise NotImplementedError("restore a backup instead")
