"""`klasskart bench`: thin commands over the benches; a missed goal is exit code 1."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from scripts.bench import report


@click.group()
def bench() -> None:
    """Measure the product beside the usual ways, in one run, as ratios."""


def finish(outcome: report.Report, *, as_json: bool) -> None:
    """Print a report for a person or a machine, and end with its exit code."""
    if as_json:
        click.echo(report.as_json(outcome))
    else:
        # Without a terminal a table is as wide as it needs, so that a log or a document keeps whole lines.
        report.show(outcome, Console() if sys.stdout.isatty() else Console(width=160))
    sys.exit(outcome.exit_code)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--cards", type=click.IntRange(100), default=5000, show_default=True, help="Cards in the account table."
)
@click.option(
    "--taps",
    type=click.IntRange(160),
    default=400,
    show_default=True,
    help="Taps of a line in each round; a gate has 20 times as many, the files half.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Rounds; figures are their medians.",
)
@click.option("--littlefs", type=click.Choice(["default", "port"]), default="default", show_default=True,
              help="Parameters for all ways: MicroPython's own, or those of the product's port.")  # fmt: skip
def tap(*, as_json: bool, cards: int, taps: int, rounds: int, littlefs: str) -> None:
    """One tap on MicroPython: look-up, decision and durable record, beside JSON files."""
    from scripts.bench import tap as measured

    try:
        outcome = measured.run(cards=cards, taps=taps, rounds=rounds, littlefs=littlefs)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--records", type=click.IntRange(400), default=20_000, show_default=True, help="Records of the day."
)
@click.option(
    "--repetitions", type=click.IntRange(1), default=7, show_default=True, help="Medians are of these."
)
def ingest(*, as_json: bool, records: int, repetitions: int) -> None:
    """From the broker to committed books, beside a bare subscriber, bare inserts and the tutorial way."""
    from scripts.bench import ingest as measured

    try:
        outcome = measured.run(records=records, repetitions=repetitions)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--records", type=click.IntRange(300), default=3_000, show_default=True, help="Records to append."
)
@click.option(
    "--sectors", type=click.IntRange(8), default=256, show_default=True, help="Sectors of the chip."
)
def journal(*, as_json: bool, records: int, sectors: int) -> None:
    """The journal ring beside a littlefs file with a flush per record: bytes programmed and erases."""
    from scripts.sim import measure_journal as measured

    finish(measured.run(records=records, sectors=sectors), as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--steps", type=click.IntRange(1_000), default=10_000, show_default=True, help="The smaller size."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of both runs.")
def sim(*, as_json: bool, steps: int, seed: int) -> None:
    """Steps of the simulator a second on one core, at two sizes."""
    from scripts.sim import measure_sim as measured

    try:
        outcome = measured.run(steps=steps, seed=seed)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--postings",
    type=click.IntRange(100_000),
    default=1_000_000,
    show_default=True,
    help="Size of the books.",
)
@click.option(
    "--sales", type=click.IntRange(40), default=600, show_default=True, help="Sales that the writers post."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds of the writers.")
def books(*, as_json: bool, postings: int, sales: int, rounds: int) -> None:
    """Posting by one and by four writers, balance reads, and the check of the whole books beside rivals."""
    from scripts.bench import books as measured

    try:
        outcome = measured.run(postings=postings, sales=sales, rounds=rounds)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--records", type=click.IntRange(400), default=20_000, show_default=True, help="Records of the day."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Medians are of these.")
def verify(*, as_json: bool, records: int, rounds: int) -> None:
    """Verifying chains and posting what they say, beside bare HMAC over the same bytes."""
    from scripts.bench import verify as measured

    try:
        outcome = measured.run(records=records, rounds=rounds)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--polls", type=click.IntRange(10), default=200, show_default=True, help="Looks at an empty field."
)
def reader(*, as_json: bool, polls: int) -> None:
    """A look at an empty field by reader: bus and heap, beside the usual blocking way."""
    from scripts.bench import reader as measured

    try:
        outcome = measured.run(polls=polls)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--count", type=click.IntRange(10), default=4000, show_default=True, help="Identifications in a round."
)
def auth(*, as_json: bool, count: int) -> None:
    """A DESFire card proves itself: APDUs and computation, beside bare AES and the host's engine."""
    from scripts.bench import auth as measured

    try:
        outcome = measured.run(count=count)
    except report.BenchError as error:
        raise click.ClickException(str(error)) from error
    finish(outcome, as_json=as_json)
