"""`klasskart reconcile`: a day of a school, by its three sides, and what could be overspent today.

Promises: exit code 0 when the day balances, also while it is provisional (it says
so and names whom it waits for), 1 when something differs, 2 when a file was not
taken; a file with one bad line is not taken at all.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from cloud.cli import with_config, with_school
from cloud.config import Config, ConfigError
from cloud.csv_file import Applied, read_table
from cloud.db import begin, engine, snapshot
from cloud.reconciliation import service
from cloud.reconciliation.compare import Item
from cloud.statements import service as statements
from protocols.ids import hex8
from protocols.money import text_from_minor as money


class _Undo(Exception):
    """Ends a transaction without its changes."""


@click.command()
@click.option("--day", "day_text", default="", help="YYYY-MM-DD; by default the last one before today.")
@click.option(
    "--bank", type=click.Path(path_type=Path), help="The bank's statement: bank_ref;amount_rub;date."
)
@click.option("--caterer", type=click.Path(path_type=Path),
              help="The caterer's statement: date;portions;amount_rub.")  # fmt: skip
@click.option("--bound", "only_bound", is_flag=True, help="Print only what could be overspent, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def reconcile(
    config: Config, school: int, day_text: str, bank: Path | None, caterer: Path | None, only_bound: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare a day's journals, books and statements; then print the bound.

    Exit code 0: it balances, or is provisional and says for whom it waits; 1:
    what differs is named; 2: a statement has a bad line and was not taken.
    """
    store, now = engine(config.database_url), int(time.time())
    try:
        with snapshot(store) as conn:
            day = _day(conn, school, day_text, now)
        _take(store, bank, statements.BANK_COLUMNS,
              lambda conn, table: statements.import_bank(conn, school, table, day, now))  # fmt: skip
        _take(store, caterer, statements.CATERER_COLUMNS,
              lambda conn, table: statements.import_caterer(conn, school, table, now))  # fmt: skip
        with snapshot(store) as conn:
            found = None if only_bound else service.reconcile(conn, school, day)
            bound = service.bound(conn, school)
    finally:
        store.dispose()
    if as_json:
        told = {} if found is None else day_json(found)
        click.echo(json.dumps(told | {"bound": bound_json(bound)}, ensure_ascii=False))
    else:
        for line in [*(day_lines(found) if found else ()), *bound_lines(bound)]:
            click.echo(line)
    sys.exit(1 if found is not None and found.state == service.DIFFERS else 0)


def _day(conn: Connection, school: int, text: str, now: int) -> int:
    if not text:
        return service.usual_day(conn, school, service.times(conn, school).day(now))
    try:
        return statements.day_of(text)
    except ValueError as error:
        raise ConfigError("--day: a day such as 2026-09-01") from error


def _take(
    store: Any, path: Path | None, columns: tuple[str, ...], take: Callable[[Connection, Any], Applied]
) -> None:
    """Take a statement whole, or name its bad lines and take nothing."""
    if path is None:
        return
    problems = []
    try:
        with begin(store) as conn:
            problems = take(conn, read_table(path, columns)).problems
            if problems:
                raise _Undo
    except _Undo:
        for problem in problems:
            click.echo(f"{problem.file}:{problem.line}: {problem.reason}", err=True)
        raise ConfigError(f"{path.name} was not taken") from None


_WORDS = {
    "no_entry": "no entry in the books",
    "two_entries": "more than one entry in the books",
    "no_record": "an entry without its record",
    "amount": "the entry has another amount",
    "account": "the entry is on another account",
    "gap": "a record is missing: the device counted {left} operations, {right} are here",
    "not_closed": "the day was never closed, though later records came",
    "bank_no_entry": "the bank has it, the books have not",
    "no_bank_line": "the books have it, the bank has not",
    "bank_amount": "bank and books have different amounts",
    "caterer_total": "the caterer states another total",
    "caterer_portions": "the caterer states {right} portions, the devices sold {left}",
}


def name_of(item: Item) -> str:
    """What an item is called: a record, an entry, a reference of the bank."""
    if item.seq is not None:
        return f"{item.device_label} record {item.seq}" + (
            f" (epoch {item.epoch})" if item.epoch != 1 else ""
        )
    if item.reference:
        return f"bank reference {item.reference}"
    return f"entry {item.entry_id}" if item.entry_id else "caterer's statement"


def _item_line(item: Item) -> str:
    words = _WORDS[item.kind].format(left=item.left, right=item.right)
    text = f"{name_of(item)}: {words}"
    if item.is_money:
        left, right = ("books", "bank") if item.reference else ("books", "caterer")
        if item.seq is not None:
            left, right = "record", "books"
        text += f" ({left} {money(item.left)}, {right} {money(item.right)})"
    if item.entry_id:
        text += f", klasskart books explain {item.entry_id}"
    return text


def day_lines(found: service.Reconciled) -> Iterator[str]:
    """The day for a person, 80 columns wide where names allow it."""
    yield f"{service.day_text(found.day)}    {'sold':>8} {'devices':>14} {'books':>14} {'suspense':>12}  day"
    for one in found.devices:
        if one.kind == "canteen" or one.sales or one.state != service.CLOSED:
            yield (
                f"  {one.label:12} {one.sales:>8} {money(one.journal_minor):>14} {money(one.books_minor):>14}"
                f" {money(one.suspense_minor):>12}  {one.state}"
            )
    for entry_id, amount in found.corrections:
        yield f"  correction   {'':8} {money(amount):>14} {money(amount):>14}  entry {entry_id}"
    said = found.statement
    stated = (
        "no statement yet" if said is None else f"{money(said.amount_minor)} for {said.portions} portions"
    )
    yield f"  in all       {found.sales:>8} {money(found.journal_minor):>14} {money(found.books_minor):>14}"
    yield f"  caterer      {stated}"
    for name, side in (("top-ups", found.topups), ("paid back", found.payouts)):
        sums = f"{money(side.books_minor):>14}  bank {money(side.bank_minor)}"
        yield f"  {name:12} {side.number:>8} {'':14} {sums}"
    for item in found.items:
        yield _item_line(item)
    for one in found.ended:
        yield f"{one.label}: its journal ended that day; what it had not sent is not known"
    if found.items:
        yield f"difference {money(found.difference_minor)}: {len(found.items)} named above"
    else:
        yield "difference 0.00: it balances"
    if found.awaited:
        names = ", ".join(one.label for one in found.awaited)
        yield f"provisional: the day is not closed by {names}"


_REASONS = (
    "slack: what the school lets each purse go below zero, with nothing broken",
    "lost: a device that never comes back may have sold all that it held; each copy of it too",
    "rolled back: an older image sells again what it held then, at most CAP of each purse",
)


def bound_lines(bound: service.Bound) -> Iterator[str]:
    """The bound in words."""
    rules = bound.rules
    yield f"bound: at most {money(bound.total_minor)} can be overspent today, if all of this happens at once"
    each = f"{money(rules.slack_minor)} and {money(rules.credit_highest_minor)} of meal credit"
    yield f"  slack        {money(bound.slack_minor):>14}  {bound.purses} purses x {each}"
    for one in bound.devices:
        yield (
            f"  {one.label:12} {money(one.lost_minor):>14} if lost or copied,"
            f" {money(one.rolled_back_minor)} if rolled back ({one.purses} purses)"
        )
    for words in _REASONS:
        yield f"  {words}"
    yield (
        f"  CAP {money(rules.cap_minor)} of each purse on a device,"
        f" CAP_DEVICE {money(rules.cap_device_minor)} on a device in all"
    )
    weak = f"{money(rules.weak_day_minor)} a day on each of them" if rules.weak_day_minor else "no limit"
    yield f"  copied card  {weak}, {len(bound.devices)} lines: out of its owner's purse, so no debt"
    if bound.recovering:
        yield "  recovery: journals are still awaited, so each purse counts with CAP and L of credit"


def day_json(found: service.Reconciled) -> dict[str, Any]:
    """The day as `--json` prints it; money in minor units."""
    said = found.statement
    return {
        "day": service.day_text(found.day),
        "state": found.state,
        "difference_minor": found.difference_minor,
        "sales": found.sales,
        "journal_minor": found.journal_minor,
        "books_minor": found.books_minor,
        "suspense_minor": found.suspense_minor,
        "caterer_minor": None if said is None else said.amount_minor,
        "caterer_portions": None if said is None else said.portions,
        "topups": found.topups._asdict(),
        "payouts": found.payouts._asdict(),
        "devices": [one._asdict() | {"device_id": hex8(one.device_id)} for one in found.devices],
        "corrections": [{"entry_id": entry, "amount_minor": amount} for entry, amount in found.corrections],
        "awaited": [one.label for one in found.awaited],
        "ended": [one.label for one in found.ended],
        "items": [_item_json(item) for item in found.items],
    }


def _item_json(item: Item) -> dict[str, Any]:
    told = item._asdict() | {"name": name_of(item)}
    if item.device_id is not None:
        told["device_id"] = hex8(item.device_id)
    return told


def bound_json(bound: service.Bound) -> dict[str, Any]:
    """The bound as `--json` prints it; minor units."""
    return {
        "total_minor": bound.total_minor,
        "slack_minor": bound.slack_minor,
        "purses": bound.purses,
        "credit_minor": bound.rules.credit_highest_minor,
        "cap_minor": bound.rules.cap_minor,
        "cap_device_minor": bound.rules.cap_device_minor,
        "weak_day_minor": bound.rules.weak_day_minor,
        "recovering": bound.recovering,
        "devices": [one._asdict() | {"device_id": hex8(one.device_id)} for one in bound.devices],
    }
