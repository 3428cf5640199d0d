"""`klasskart cloud import-benefits`, `meal-credit`: who is fed by whom, and how much may be owed for meals.

Promises: each is one transaction; a row that was not applied is named with file,
line and reason and the exit code is 1.
"""

import json
import sys
import time
from pathlib import Path

import click

from cloud.benefits import service as benefits
from cloud.cli import cloud, with_config, with_school
from cloud.config import Config, ConfigError
from cloud.csv_file import read_table
from cloud.db import begin, engine
from cloud.devices import service as devices
from cloud.keys import Vault
from protocols.errors import Fault
from protocols.money import minor_from_text, text_from_minor


@cloud.command("import-benefits")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def import_benefits(config: Config, school: int, file: Path, as_json: bool) -> None:
    """Import who is entitled to which hot meal: external_id, meal, from, to, fund, category (and basis).

    Rows that are wrong are listed and left out, the others are applied; exit code 1 then.
    New rights go to the home tills, and meals of the last 100 days are re-rated, when something changed.
    """
    store, now = engine(config.database_url), int(time.time())
    with begin(store) as conn:
        applied = benefits.import_benefits(conn, school, read_table(file, benefits.COLUMNS), now)
        if applied.changed:
            devices.publish_tables(conn, Vault(config.keys_dir), school, now)
    store.dispose()
    if as_json:
        problems = [problem._asdict() for problem in applied.problems]
        told = {"rows_applied": applied.rows, "rows_changed": applied.changed, "problems": problems}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for problem in applied.problems:
            click.echo(f"{problem.file}:{problem.line}: {problem.reason}", err=True)
        click.echo(f"{applied.rows} rows good, {applied.changed} of them new or changed")
    sys.exit(1 if applied.problems else 0)


@cloud.command("meal-credit")
@click.argument("amount")
@with_config
@with_school
def meal_credit(config: Config, school: int, amount: str) -> None:
    """Let each pupil owe up to AMOUNT for hot meals, best the price of one or two; 0 allows no new debt.

    Rights that are out at tills stay there when a school allows less.
    """
    store, now = engine(config.database_url), int(time.time())
    try:
        amount_minor = minor_from_text(amount)
        with begin(store) as conn:
            devices.set_settings(conn, school, now, credit_minor=amount_minor)
            devices.publish_tables(conn, Vault(config.keys_dir), school, now)
    except Fault as fault:
        raise ConfigError("AMOUNT is no sum such as 320.00 from 0 up to CAP") from fault
    finally:
        store.dispose()
    click.echo(f"meal credit {text_from_minor(amount_minor)}")
