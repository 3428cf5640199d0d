"""`klasskart cards`: cards of a file, the keys of cards, the desks that issue them.

Promises: each command is a thin function over cards.service; no key is ever shown;
what cannot be is one line and exit code 2, a row that was not applied is named with
file, line and reason and the exit code is 1.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as Shown

from cloud.archive import Archive
from cloud.cards import service as cards
from cloud.cli import with_config, with_school
from cloud.config import Config, ConfigError, write_private
from cloud.csv_file import read_table
from cloud.db import begin, engine, lock_school, reading
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.losses import service as losses
from protocols.card import printed
from protocols.errors import Fault
from protocols.money import minor_from_text, text_from_minor

_FILE = click.Path(path_type=Path)


class _Undo(Exception):
    """Ends a dry run without its changes."""


@click.group("cards", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Give cards out of a file, look after the keys of cards and the desks that issue them."""


@group.command("import")
@click.argument("file", type=_FILE)
@click.option("--format", "form", type=click.Choice(printed.FORMATS), default=None, help="Of each number.")
@click.option("--column", default="credential", show_default=True, help="The column with the numbers.")
@click.option("--pupil-column", default="student_id", show_default=True, help="The column with the pupils.")
@click.option("--move", is_flag=True, help="A card that another pupil has goes to the pupil of its row.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and apply nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def import_file(
    config: Config, school: int, file: Path, form: str | None, column: str, pupil_column: str,
    move: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Give pupils the cards of a CSV file, by canonical ids or by the numbers printed on the cards.

    A number that can be read in several ways needs --format, or a column `format`; `kind` and `until` may be
    columns too. Rows that are wrong are listed and left out, the others are applied; exit code 1 then.
    New tables go to the devices when something changed.
    """
    said = cards.Spelling(form or "", column.lower(), pupil_column.lower())
    table = read_table(file, said.columns)
    store, now, vault = engine(config.database_url), int(time.time()), Vault(config.keys_dir)
    try:
        with begin(store) as conn:
            lock_school(conn, school)
            done = cards.import_cards(conn, vault, school, table, now, spelling=said, moves=move)
            if dry_run:
                raise _Undo
            if done.applied.changed:
                losses.settle(conn, Archive(config.archive_dir), school, by="import", now=now)
                devices.publish_tables(conn, vault, school, now)
    except _Undo:
        pass
    finally:
        store.dispose()
    _show(done, dry_run, as_json)
    sys.exit(1 if done.applied.problems else 0)


def _show(done: cards.Imported, dry_run: bool, as_json: bool) -> None:
    rows, changed, problems = done.applied
    if as_json:
        told = {"applied": not dry_run, "rows": rows, "changed": changed,
                "problems": [each._asdict() for each in problems],
                "warnings": [each._asdict() for each in done.warnings]}  # fmt: skip
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for problem in (*problems, *done.warnings):
        click.echo(f"{problem.file}:{problem.line}: {problem.reason}", err=True)
    lines = (
        ("new or changed", changed),
        ("there already", rows - changed),
        ("left out", len(problems)),
        ("to look at", len(done.warnings)),
    )
    _table(("rows", "would be" if dry_run else "are"), [(name, str(count)) for name, count in lines])


@group.command("weak-limit")
@click.argument("amount")
@with_config
@with_school
def weak_limit(config: Config, school: int, amount: str) -> None:
    """Let copyable cards of one account spend up to AMOUNT on one line in a day; 0: no limit."""
    store, now = engine(config.database_url), int(time.time())
    try:
        amount_minor = minor_from_text(amount)
        with begin(store) as conn:
            devices.set_settings(conn, school, now, weak_day_minor=amount_minor)
    except Fault as fault:
        raise ConfigError("AMOUNT is no sum such as 300.00, or 0") from fault
    finally:
        store.dispose()
    click.echo(f"weak cards {text_from_minor(amount_minor)} a day on each line")


@group.group("keys")
def keys() -> None:
    """The master keys of the school's cards, by role and version. No key is ever shown."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def list_keys(config: Config, school: int, as_json: bool) -> None:
    """Which versions there are, and which of them devices get."""
    found = cards.versions(Vault(config.keys_dir), school)
    if as_json:
        click.echo(json.dumps([each._asdict() for each in found]))
        return
    states = {True: "retired: the desk alone", False: "in force"}
    _table(("role", "version", ""), [(e.role, str(e.version), states[e.is_retired]) for e in found])


@keys.command("rotate")
@click.argument("role", type=click.Choice(list(cards.ROLES)))
@with_config
@with_school
def rotate(config: Config, school: int, role: str) -> None:
    """Add a version for ROLE; the one before stays in force until it is retired.

    Then: desk-file for the desks, new-epoch for the devices of that role, and cards are renewed at the desk.
    """
    try:
        click.echo(f"{role} version {cards.rotate(Vault(config.keys_dir), school, role)}")
    except cards.MasterRefused as refused:
        raise ConfigError(str(refused)) from refused


@keys.command("retire")
@click.argument("role", type=click.Choice(list(cards.ROLES)))
@click.argument("version", type=int)
@with_config
@with_school
def retire(config: Config, school: int, role: str, version: int) -> None:
    """Give VERSION of ROLE to no device any more: cards that were not renewed open nothing there.

    A device forgets it when it is provisioned anew (new-epoch).
    """
    try:
        cards.retire(Vault(config.keys_dir), school, role, version)
    except cards.MasterRefused as refused:
        raise ConfigError(str(refused)) from refused
    click.echo(f"{role} version {version} is retired")


@group.group("desk")
def desk() -> None:
    """The PCs at which cards are issued."""


@desk.command("add")
@click.argument("label")
@click.option("--out", type=_FILE, required=True, help="Where the desk's file goes, for the owner only.")
@with_config
@with_school
def add_desk(config: Config, school: int, label: str, out: Path) -> None:
    """Let a desk in, and write the file it needs: the master keys of cards, and its token for this cloud."""
    store, vault = engine(config.database_url), Vault(config.keys_dir)
    try:
        with begin(store) as conn:
            lock_school(conn, school)
            _made, token = cards.add_desk(conn, vault, school, label, int(time.time()))
            _write_file(vault, school, out, token)
    except cards.DeskRefused as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        store.dispose()
    click.echo(out)


@desk.command("file")
@click.option("--out", type=_FILE, required=True, help="Where the file goes, for the owner only.")
@with_config
@with_school
def desk_file(config: Config, school: int, out: Path) -> None:
    """Write the keys of cards as they are now, for desks that have their token: after each rotation."""
    _write_file(Vault(config.keys_dir), school, out, "")
    click.echo(out)


@desk.command("list")
@with_config
@with_school
def list_desks(config: Config, school: int) -> None:
    """The desks there were, when each was heard last, and which are not let in any more."""
    store = engine(config.database_url)
    with reading(store) as conn:
        found = cards.desks(conn, school)
    store.dispose()
    rows = [(one.label, _moment(one.seen_at), "revoked " + _moment(one.revoked_at) if one.revoked_at else "")
            for one in found]  # fmt: skip
    _table(("desk", "heard", ""), rows)


@desk.command("revoke")
@click.argument("label")
@with_config
@with_school
def revoke_desk(config: Config, school: int, label: str) -> None:
    """Let a desk in no more. What it holds of keys is not undone by this: rotate them."""
    store = engine(config.database_url)
    try:
        with begin(store) as conn:
            cards.revoke_desk(conn, school, label, int(time.time()))
    except cards.DeskRefused as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        store.dispose()
    click.echo(f"{label} is not let in any more")


def _write_file(vault: Vault, school: int, out: Path, token: str) -> None:
    write_private(out, [cards.desk_file(vault, school, token), "\n"])


def _moment(at: int | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    shown = Shown(*heads)
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)
