"""`klasskart books`: look whether the books are whole, follow an entry to its device, hand them to others.

Promises: each command is a thin function over accounting.service; `check` and
`explain` exit with 1 when something differs, and read one state of the
database while others go on writing.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from cloud.accounting import service as accounting
from cloud.cli import with_config, with_school
from cloud.config import Config, ConfigError
from cloud.db import engine, snapshot
from cloud.keys import Vault
from protocols.ids import hex8
from protocols.ledger.record import TYPES
from protocols.money import text_from_minor


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def books() -> None:
    """Check, explain and export the books."""


@contextmanager
def _progress(title: str) -> Iterator[accounting.Watch]:
    """A bar on standard error; nothing where nobody sees it."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@books.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def check(config: Config, school: int, as_json: bool) -> None:
    """Check the whole books: chain, sums, caches, records, rights; exit code 1 when anything differs.

    The first entry that differs is named first.
    """
    store = engine(config.database_url)
    with _progress("checking") as watch, snapshot(store) as conn:
        found = accounting.check(conn, school, watch)
    store.dispose()
    if as_json:
        click.echo(json.dumps(_as_json(found)))
    else:
        head = f"head {found.head.hash.hex()[:16]}"
        numbers = f"{found.entries} entries, {found.postings} postings, {found.movements} movements of rights"
        click.echo(f"{numbers}, {head}: {'whole' if not found.differences else 'NOT whole'}")
        for difference in found.differences:
            click.echo(str(difference))
    sys.exit(1 if found.differences else 0)


def _as_json(found: accounting.Checked) -> dict[str, Any]:
    return {
        "whole": not found.differences,
        "entries": found.entries,
        "postings": found.postings,
        "movements": found.movements,
        "head": found.head.hash.hex(),
        "differences": [difference._asdict() for difference in found.differences],
    }


@books.command()
@click.argument("entry", type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def explain(config: Config, school: int, entry: int, as_json: bool) -> None:
    """Follow ENTRY down to the record that a device wrote, and prove its MAC with the device's key."""
    store = engine(config.database_url)
    proof = None
    try:
        with snapshot(store) as conn:
            told = accounting.explain(conn, school, entry)
            source = told["record"]
            if source is not None:
                vault = Vault(config.keys_dir)
                proof = accounting.prove(conn, vault, school, source["device_id"], source["epoch"])
                source["chain"] = proof._asdict()
    except accounting.NoSuchEntry as missing:
        raise ConfigError(f"there is no entry {entry}") from missing
    finally:
        store.dispose()
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for line in _lines(told):
            click.echo(line)
    sys.exit(0 if proof is None or proof.holds else 1)


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"entry {told['entry_id']}  {told['kind']}  {told['external_key']}  {told['reason']}".rstrip()
    yield f"  happened {told['happened_at']}, posted {told['posted_at']}, hash {told['hash_hex']}"
    for posting in told["postings"]:
        yield f"  {text_from_minor(posting['amount_minor']):>12}  {posting['code']}"
    for word in ("corrects", "corrected_by"):
        if told[word]:
            yield f"  {word.replace('_', ' ')}: entry {', '.join(map(str, told[word]))}"
    source = told["record"]
    if source is None:
        yield "  no record of a device"
        return
    kind = TYPES.get(source["type"], str(source["type"]))
    yield f"  device {source['device_label']} {hex8(source['device_id'])}, epoch {source['epoch']}"
    yield f"  record {source['seq']}  {kind}  account {hex8(source['account_id'])}  amount {source['amount']}"
    yield f"  time {source['time']}, day {source['day']}, refusal {source['refusal']}"
    yield f"  bytes {source['raw_hex']}"
    chain = source["chain"]
    yield f"  MAC {'ok' if chain['holds'] else 'BROKEN'}: {chain['detail']}"


@books.command()
@click.option("--beancount", "target", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="The file to write, for bean-check and its family.")  # fmt: skip
@with_config
@with_school
def export(config: Config, school: int, target: Path) -> None:
    """Write the whole books for another program to check."""
    store = engine(config.database_url)
    # Written beside and renamed: a file of this name is always a whole one.
    beside = target.with_name(target.name + ".part")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with (
        os.fdopen(handle, "w", encoding="utf-8") as file,
        _progress("writing") as watch,
        snapshot(store) as conn,
    ):
        count = accounting.export_beancount(conn, school, file.write, watch)
    beside.rename(target)
    store.dispose()
    click.echo(f"{count} entries in {target}")
