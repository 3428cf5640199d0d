"""`klasskart goods`: the catalogue of a school; `klasskart menu`: what it cooks on which day.

Promises: each command is a thin function over the services of meals; a file with one bad line or cell changes
nothing, each is named and the exit code is 1; what cannot be at all is one line and exit code 2.
"""

import json
import sys
import time
from collections.abc import Callable
from getpass import getuser
from pathlib import Path

import click
from sqlalchemy import Connection

from cloud.cli import with_config, with_school
from cloud.config import Config, ConfigError, write_private
from cloud.csv_file import Applied, read_table
from cloud.db import begin, engine, lock_school, reading
from cloud.devices import service as devices
from cloud.meals import service as meals
from cloud.meals.prices import iso
from protocols.money import text_from_minor

_FILE = click.Path(path_type=Path)
_HELP = {"help_option_names": ["-h", "--help"]}
_DRY = click.option("--dry-run", is_flag=True, help="Say what would be done and apply nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_WHO = click.option("--who", default=getuser, help="Who does it; by default the login's name.")


class _Undo(Exception):
    """Ends a dry run without its changes."""


@click.group("goods", context_settings=_HELP)
def goods() -> None:
    """Dishes, products and complex meals: prices, allergens, who has checked them."""


@goods.command("import")
@click.argument("file", type=_FILE)
@click.option("--unchecked", is_flag=True, help="Take goods that nobody has checked; they stay off sale.")
@_WHO
@_DRY
@_JSON
@with_config
@with_school
def import_goods(
    config: Config, school: int, file: Path, unchecked: bool, who: str, dry_run: bool, as_json: bool
) -> None:
    """Take goods from a CSV file, by their codes; goods that it does not name stay as they are.

    One bad line and nothing is taken; exit code 1 then. A line that is new or different needs checked_by and
    checked_on. New settings go to the devices when something changed.
    """
    table = read_table(file, meals.GOODS_COLUMNS)
    now = int(time.time())

    def apply(conn: Connection) -> Applied:
        return meals.import_goods(conn, school, table, who=who, now=now, unchecked=unchecked)

    _apply(config, school, apply, now, dry_run, as_json, publishes=True)


@goods.command("export")
@click.argument("file", type=_FILE)
@with_config
@with_school
def export_goods(config: Config, school: int, file: Path) -> None:
    """Write the whole catalogue into a CSV file that `import` takes."""
    store = engine(config.database_url)
    with reading(store) as conn:
        text = meals.export_goods(conn, school)
    store.dispose()
    # With a byte order mark: spreadsheets take a file without one for another encoding.
    write_private(file, ["\ufeff", text])
    click.echo(file)


@goods.command("list")
@click.option("--day", default="", help="A day such as 2026-09-01, by default today.")
@_JSON
@with_config
@with_school
def list_goods(config: Config, school: int, day: str, as_json: bool) -> None:
    """Each good with its price and state that day, and lines on sale that the catalogue does not have."""
    store = engine(config.database_url)
    with reading(store) as conn:
        at = meals.day_or_today(conn, school, day, int(time.time()))
        found = meals.catalogue(conn, school)
        outside = meals.unchecked_lines(conn, school)
    store.dispose()
    rows = [
        (kept.good_id, kept.good.code, kept.good.name, kept.price_minor(at), kept.state(at)) for kept in found
    ]
    rows += [(line.good_id, "", line.name, line.price_minor, "not in the catalogue") for line in outside]
    if as_json:
        names = ("number", "code", "name", "price_minor", "state")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False))
        return
    for number, code, name, price_minor, state in rows:
        price = "-" if price_minor is None else text_from_minor(price_minor)
        click.echo(f"{number:5} {code or '-':10} {price:>9} {state:12} {name}")


@goods.command("checks")
@click.argument("value", type=click.Choice(["on", "off"]))
@_DRY
@with_config
@with_school
def checks(config: Config, school: int, value: str, dry_run: bool) -> None:
    """Keep lines off sale that the catalogue does not have, and so nobody has checked: on or off.

    Says which lines that is about. With `on` they leave the devices' menu with the next settings.
    """
    store, now = engine(config.database_url), int(time.time())
    with begin(store) as conn:
        lock_school(conn, school)
        about = meals.unchecked_lines(conn, school)
        if not dry_run:
            meals.ask_for_checks(conn, school, value == "on")
            devices.publish_settings(conn, school, now)
    store.dispose()
    for line in about:
        click.echo(f"{line.good_id:5} {line.name}")
    click.echo(f"{len(about)} lines {'off' if value == 'on' else 'on'} sale{' then' if dry_run else ''}")


@click.group("menu", context_settings=_HELP)
def menu() -> None:
    """What a school cooks on which day: a menu that repeats, days that differ, the official workbook."""


@menu.command("import")
@click.argument("file", type=_FILE)
@_WHO
@_DRY
@_JSON
@with_config
@with_school
def import_menu(config: Config, school: int, file: Path, who: str, dry_run: bool, as_json: bool) -> None:
    """Take the official workbook of a day, such as 2026-09-01-sm.xlsx, as the menu of that day.

    Each bad cell is named and nothing is taken then; exit code 1. Dishes are those of the catalogue.
    """
    raw, now = _bytes(file), int(time.time())

    def apply(conn: Connection) -> Applied:
        return meals.import_workbook(conn, school, file.name, raw, who=who, now=now)[1]

    _apply(config, school, apply, now, dry_run, as_json)


@menu.command("export")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--day", default="", help="A day such as 2026-09-01, by default today.")
@click.option("--ages", default="", help="The age group, as the menu names it.")
@with_config
@with_school
def export_menu(config: Config, school: int, folder: Path, day: str, ages: str) -> None:
    """Write the official workbook of a day into FOLDER."""
    store = engine(config.database_url)
    try:
        with reading(store) as conn:
            at = meals.day_or_today(conn, school, day, int(time.time()))
            name, raw = meals.export_workbook(conn, school, at, ages)
    except meals.GoodRefused as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        store.dispose()
    (folder / name).write_bytes(raw)
    click.echo(folder / name)


@menu.command("cycle")
@click.argument("file", type=_FILE)
@click.option("--from", "first", required=True, help="A day of its first week, such as 2026-09-01.")
@_DRY
@_JSON
@with_config
@with_school
def import_cycle(config: Config, school: int, file: Path, first: str, dry_run: bool, as_json: bool) -> None:
    """Take a menu that repeats from a CSV file: week, day, meal, code, perhaps ages and section.

    It is in force from the Monday of its first week until a later one begins.
    """
    table, now = read_table(file, meals.CYCLE_COLUMNS), int(time.time())

    def apply(conn: Connection) -> Applied:
        begins = meals.day_or_today(conn, school, first, now)
        return meals.import_cycle(conn, school, table, begins)

    _apply(config, school, apply, now, dry_run, as_json)


@menu.command("show")
@click.option("--day", default="", help="The first day, such as 2026-09-01, by default today.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 62), help="How many days.")
@with_config
@with_school
def show(config: Config, school: int, day: str, days: int) -> None:
    """What is planned, day by day, and whether it comes from the cycle or is the day's own."""
    store = engine(config.database_url)
    with reading(store) as conn:
        first = meals.day_or_today(conn, school, day, int(time.time()))
        found = meals.plans(conn, school, range(first, first + days))
        names = {kept.good.code: kept.good.name for kept in meals.catalogue(conn, school)}
    store.dispose()
    for plan in found:
        click.echo(f"{iso(plan.day)} {plan.source}")
        for line in plan.lines:
            click.echo(f"    {line.meal:16} {line.ages:6} {line.code:10} {names[line.code]}")


@menu.command("clear")
@click.argument("day")
@with_config
@with_school
def clear(config: Config, school: int, day: str) -> None:
    """Let the cycle say again what is cooked on DAY."""
    store = engine(config.database_url)
    with begin(store) as conn:
        lock_school(conn, school)
        was_own = meals.clear_day(conn, school, meals.day_or_today(conn, school, day, int(time.time())))
    store.dispose()
    click.echo("cleared" if was_own else "it had no menu of its own")


@menu.command("days")
@click.argument("file", type=_FILE)
@_DRY
@_JSON
@with_config
@with_school
def days(config: Config, school: int, file: Path, dry_run: bool, as_json: bool) -> None:
    """Take vacations, holidays and working Saturdays from a CSV file: from, to, kind (school, off).

    Public holidays of the school's country are known; the file wins over them.
    """
    table, now = read_table(file, meals.DAYS_COLUMNS), int(time.time())

    def apply(conn: Connection) -> Applied:
        return meals.import_days(conn, school, table)

    _apply(config, school, apply, now, dry_run, as_json)


@menu.command("week")
@click.argument("days", type=click.Choice(["5", "6"]))
@with_config
@with_school
def week(config: Config, school: int, days: str) -> None:
    """Say how many days a school week has: 5 or 6."""
    store = engine(config.database_url)
    with begin(store) as conn:
        lock_school(conn, school)
        meals.set_week_days(conn, school, int(days))
    store.dispose()
    click.echo(f"a week has {days} days")


def _bytes(file: Path) -> bytes:
    """A file's bytes, or one line and exit code 2; no more of them than a workbook may have."""
    try:
        with file.open("rb") as opened:
            return opened.read(meals.WORKBOOK_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error


def _apply(
    config: Config, school: int, apply: Callable[[Connection], Applied], now: int, dry_run: bool,
    as_json: bool, *, publishes: bool = False,
) -> None:  # fmt: skip
    """Run an import in one transaction, tell what it did, end with its exit code.

    `publishes`: what it changes may change what devices are told.
    """
    store = engine(config.database_url)
    try:
        with begin(store) as conn:
            lock_school(conn, school)
            done = apply(conn)
            if dry_run or done.problems:
                raise _Undo
            if done.changed and publishes:
                devices.publish_settings(conn, school, now)
    except _Undo:
        pass
    finally:
        store.dispose()
    if as_json:
        told = {"applied": not (dry_run or done.problems), "rows": done.rows, "changed": done.changed,
                "problems": [each._asdict() for each in done.problems]}  # fmt: skip
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for problem in done.problems:
            click.echo(f"{problem.file}:{problem.line}: {problem.reason}", err=True)
        words = "would be" if dry_run else "are"
        click.echo(f"{done.rows} rows good, {done.changed} {words} new or changed")
    sys.exit(1 if done.problems else 0)
