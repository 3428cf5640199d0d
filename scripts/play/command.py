"""`klasskart demo`: a demo school until Ctrl-C, or one school day played once and counted.

It promises that standard output carries the result only, everything else goes to standard error, and that
the exit code is 0 only when every row was good and all is settled: 1 rows of the files were left out, 2 the
command line is wrong, 3 something is unsettled or did not start, 130 it was interrupted.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from reader_host.virtual.board import BoardError
from scripts.play import demo as demo_school
from scripts.play import once as one_day
from scripts.play.addresses import Addresses
from scripts.play.broker import BrokerMissing
from scripts.play.folder import DEFAULT, FolderRefused
from scripts.play.ports import NoFreePort
from scripts.play.town import EMBEDDED, MOSQUITTO, ROOT, StartFailed

BAD_ROWS, UNSETTLED, INTERRUPTED = 1, 3, 130
EXAMPLE = ROOT / "examples" / "school-1"
FOLDER = click.Path(file_okay=False, path_type=Path)
CANNOT = (FolderRefused, NoFreePort, StartFailed, BrokerMissing, BoardError)


def _zone(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter("not an IANA name such as Europe/Moscow") from error
    return value


def _school(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:
    files = value or EXAMPLE
    if not files.is_dir():
        raise click.BadParameter(f"there is no folder {files}")
    return files


@click.command()
@click.option("--once", is_flag=True, help="Play SCHOOL/day.csv once, wait until all is settled, count, end.")
@click.option(
    "--school", type=FOLDER, callback=_school, help="Folder of a school's CSV files. [default: the example]"
)
@click.option("--data", type=FOLDER, help=f"Data folder. [default: {DEFAULT}; with --once a temporary one]")
@click.option("--fresh", is_flag=True, help="Empty the data folder first.")
@click.option("--broker", type=click.Choice([EMBEDDED, MOSQUITTO]), default=EMBEDDED, show_default=True)
@click.option("--time-zone", default="Europe/Moscow", show_default=True, callback=_zone)
@click.option("--json", "as_json", is_flag=True, help="With --once: the result as one JSON object.")
@click.option("--strict", is_flag=True, help="With --once: one bad row, and nothing is applied.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, help="With --once: seconds."
)
@click.option("--date", "on", type=click.DateTime(["%Y-%m-%d"]), default="2026-09-01", show_default=True)
def demo(
    once: bool,
    school: Path,
    data: Path | None,
    fresh: bool,
    broker: str,
    time_zone: str,
    as_json: bool,
    strict: bool,
    timeout: float,
    on: datetime,
) -> None:
    """Start a demo school, or with --once play one day of a school.

    A demo runs until Ctrl-C and keeps its data for the next start. A play has a data folder and ports of
    its own.
    """
    console = Console(stderr=True, highlight=False)
    try:
        if once:
            wish = one_day.Wish(school, on.date(), time_zone, data, fresh, strict, broker, timeout)
            code = _once(console, wish, as_json)
        else:
            code = _demo(console, demo_school.Wish(data or DEFAULT, school, time_zone, fresh, broker))
    except CANNOT as error:
        _say(console, str(error))
        code = UNSETTLED
    except one_day.Interrupted:
        code = INTERRUPTED
    sys.exit(code)


def _once(console: Console, wish: one_day.Wish, as_json: bool) -> int:
    """Play a day and print its numbers; returns the exit code."""
    with _progress(console) as watch:
        played = one_day.run(wish, lambda line: _say(console, line), watch)
    for problem in played.problems:
        _say(console, f"{problem.file}:{problem.line}: {problem.reason}")
    if played.result is None:
        _say(console, f"nothing was applied: {len(played.problems)} bad rows and --strict")
        return BAD_ROWS
    if as_json:
        click.echo(json.dumps(played.result.values))
    else:
        for key, value in played.result.values.items():
            click.echo(f"{key:24} {value}")
    for reason in played.result.reasons:
        _say(console, f"unsettled: {reason}")
    if played.result.reasons:
        return UNSETTLED
    return BAD_ROWS if played.problems else 0


def _demo(console: Console, wish: demo_school.Wish) -> int:
    """Run the demo school; rows of its files that could not be used do not stop it."""
    demo_school.run(wish, lambda line: _say(console, line), lambda where: _show(console, where))
    return 0


@contextmanager
def _progress(console: Console) -> Iterator[one_day.Watch]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("taps"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("taps", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _show(console: Console, where: Addresses) -> None:
    """The table of addresses. It is as wide as its longest line: an address that was cut opens nothing."""
    rows = [("Tap panel", where.panel), ("Parents' page", where.parents)]
    if where.phone:
        rows.append(("  sign in with", f"{where.phone} (child: {where.child})"))
        rows.append(("  the code comes to", str(where.spool)))
    rows += [("Office, for ten minutes", where.office), ("Data", str(where.data))]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, address in rows:
        table.add_row(name, address)
    width = max(
        console.width, Measurement.get(console, console.options.update(max_width=1000), table).maximum
    )
    Console(file=console.file, width=width, highlight=False).print(table, markup=False, soft_wrap=True)
    _say(console, "Ctrl-C stops everything; the data stays for the next start.")
