"""`klasskart card`: what a printed number means, and the published vectors of card cryptography.

Promises: touches no reader and no store; `--json` prints one value on stdout, problems too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from protocols.card import credential, known_answers, printed
from protocols.errors import Fault, name

_MEANING = {
    "lossy": "a part of the number is missing: two cards can have it, so it never names a card alone",
    "random": "the card draws this number anew at each tap: it cannot be given to a pupil",
    "clonable": "the number can be copied: it names a card and proves nothing",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def card() -> None:
    """Read printed card numbers; check card cryptography by published vectors."""


@card.command("parse")
@click.argument("text")
@click.option("--format", "format_name", type=click.Choice(printed.FORMATS), help="How TEXT is written.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def parse(*, text: str, format_name: str | None, as_json: bool) -> None:
    """Show the canonical id of a printed card number TEXT, and what to beware of.

    Ends with 1 when TEXT is no card number, or could be several: then --format says which.
    """
    try:
        found = printed.parse(text, format_name or "")
    except Fault as fault:
        _refuse(fault, as_json=as_json)
        sys.exit(1)
    told: dict[str, Any] = {
        "canonical": found.credential,
        "scheme": credential.scheme_of(found.credential),
        "format": found.format,
        "weak": credential.is_weak(found.credential),
        "clonable": not credential.is_proof(found.credential),
        "aliases": list(credential.aliases(found.credential)),
        "warnings": list(found.warnings),
    }
    if as_json:
        click.echo(json.dumps(told))
        return
    click.echo(found.credential)
    for alias in told["aliases"]:
        click.echo(f"  some readers say {alias}")
    for warning in found.warnings:
        click.echo(f"  {warning}: {_MEANING[warning]}")


def _refuse(fault: Fault, *, as_json: bool) -> None:
    formats = fault.detail.split() if fault.thing == "ambiguous" else []
    if as_json:
        told = {"error": name(fault.code), "thing": fault.thing, "formats": formats}
        click.echo(json.dumps(told))
    elif formats:
        click.echo(f"could be several: say --format {' or '.join(formats)}", err=True)
    else:
        click.echo(f"no card number: {fault.thing}", err=True)


@card.command("vectors")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list: group, name, computed.")
def vectors(*, file: Path, as_json: bool) -> None:
    """Compute every vector of FILE from its input alone.

    With --json prints what was computed, else compares it with what FILE expects. Ends with 1 when a vector
    differs or cannot be computed, with 2 when FILE is none.
    """
    try:
        listed = [_of_file(each) for each in json.loads(file.read_text(encoding="utf-8"))["vectors"]]
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{file}: no file of vectors ({error})") from error
    made = [_computed(*each) for each in listed]
    if as_json:
        click.echo(json.dumps([each.told() for each in made]))
    else:
        table = Table("group", "vector", "result")
        for each in made:
            table.add_row(each.group, each.name, each.problem or each.difference or "ok")
        Console().print(table)
    wrong = [each for each in made if each.problem or (each.difference and not as_json)]
    for each in wrong:
        click.echo(f"{each.group}: {each.name}: {each.problem or each.difference}", err=True)
    sys.exit(1 if wrong else 0)


class _Answer(NamedTuple):
    """One vector: what was computed, why it could not be, and in which fields it differs from the file."""

    group: str
    name: str
    computed: dict[str, str]
    problem: str
    difference: str

    def told(self) -> dict[str, Any]:
        return {"group": self.group, "name": self.name, "computed": self.computed}


def _of_file(vector: dict[str, Any]) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    return vector["group"], vector["name"], dict(vector["input"]), dict(vector["expected"])


def _computed(group: str, label: str, given: dict[str, str], expected: dict[str, Any]) -> _Answer:
    try:
        made = known_answers.compute(group, given, list(expected))
    except Fault as fault:
        return _Answer(group, label, {}, str(fault), "")
    others = [key for key, value in made.items() if value != str(expected[key]).upper()]
    return _Answer(group, label, made, "", f"differs in {', '.join(others)}" if others else "")
