"""`klasskart sim`: thin commands over the runs; exit 0 only when every invariant held."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from scripts.sim import faults, long_command, longrun, runs
from scripts.sim.invariants import NAMES
from scripts.sim.mutants import mutants
from scripts.sim.simulation import Options

TRACES = Path("build/sim")
_STEPS = 6_000


@click.command()
@click.option(
    "--seed", type=int, default=None, help="Everything follows from it; without one a fresh seed is drawn."
)
@click.option(
    "--seeds", type=int, default=1, show_default=True, help="So many runs with seeds one after another."
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help=f"Events of a run, or of each run of a mutant: {_STEPS:,}; of a long run: {longrun.STEPS:,}.",
)
@click.option("--terminals", type=click.IntRange(2), default=8, show_default=True, help="Gates and tills.")
@click.option(
    "--accounts",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help="Pupils with a card and a purse.",
)
@click.option(
    "--faults", "wanted", default="all", show_default=True, help="all, none, or kinds with commas between."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
@click.option(
    "--fault-gap",
    type=click.IntRange(2),
    help=f"Mean steps between two faults: {faults.GAP_STEPS}; in a long run {longrun.FAULT_GAP}.",
)
@click.option(
    "--sales",
    type=click.IntRange(1),
    help="A long run: fresh schools, drawn from seeds one after another, until so many sales were made.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes of a long run or of --pairs.",
)
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what a long run came to as JSON, and beside it as Markdown.",
)
@click.option("--keep-going", is_flag=True, help="A long run does not end at a seed that fails.")
@click.option("--pairs", is_flag=True, help="Strike with each ordered pair of fault kinds in a short window.")
@click.option(
    "--part", default="1/1", show_default=True, help="Of the runs of --pairs the Kth of N parts: K/N."
)
@click.option("--list-faults", is_flag=True, help="Print the kinds of faults, and which are not there yet.")
@click.option("--list-mutants", is_flag=True, help="Print the seeded bugs.")
@click.option(
    "--mutant",
    default="",
    help="Switch one seeded bug on, or `all`: exit 1 when caught, 0 when it slipped through.",
)
@click.option(
    "--replay", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Repeat a trace file."
)
@click.option("--no-shrink", is_flag=True, help="Save a failing run as it is.")
def sim(
    *, seed: int | None, seeds: int, steps: int | None, terminals: int, accounts: int, wanted: str,
    as_json: bool, fault_gap: int | None, sales: int | None, jobs: int, summary: Path | None,
    keep_going: bool, pairs: bool, part: str, list_faults: bool, list_mutants: bool, mutant: str,
    replay: Path | None, no_shrink: bool,
) -> None:  # fmt: skip
    """Run a whole school of the product's own code under faults, and look for one lost kopeck."""
    if list_faults:
        _print_faults()
    elif list_mutants:
        _print_mutants()
    elif replay is not None:
        sys.exit(_replay(replay, as_json=as_json))
    elif mutant:
        sys.exit(_hunt(mutant, steps=steps or _STEPS))
    elif pairs:
        sys.exit(_pairs(seed if seed is not None else 1, _kinds(wanted), jobs, _part(part), as_json=as_json))
    elif sales is not None:
        first = secrets.randbelow(1 << 31) if seed is None else seed
        plan = longrun.Plan(
            first, sales, jobs, steps or longrun.STEPS, fault_gap or longrun.FAULT_GAP, _kinds(wanted),
            keep_going,
        )  # fmt: skip
        sys.exit(
            long_command.long(plan, summary=summary, as_json=as_json, traces=TRACES, shrinks=not no_shrink)
        )
    else:
        first = secrets.randbelow(1 << 31) if seed is None else seed
        failed = 0
        for number in range(first, first + seeds):
            options = Options(
                number, steps or _STEPS, terminals, accounts, _kinds(wanted),
                fault_gap=fault_gap or faults.GAP_STEPS,
            )  # fmt: skip
            failed += _one(options, as_json=as_json, shrinks=not no_shrink)
        sys.exit(1 if failed else 0)


def _kinds(wanted: str) -> tuple[str, ...]:
    if wanted == "all":
        return faults.ready()
    if wanted == "none":
        return ()
    names = tuple(name.strip() for name in wanted.split(",") if name.strip())
    for name in names:
        kind = faults.kinds().get(name)
        if kind is None:
            raise click.BadParameter(f"no fault is called {name}; see --list-faults", param_hint="--faults")
        if kind.missing:
            raise click.BadParameter(f"{name} is not there yet: {kind.missing}", param_hint="--faults")
    return names


def _one(options: Options, *, as_json: bool, shrinks: bool) -> int:
    outcome = runs.run(options)
    _show(outcome.report, as_json=as_json)
    if not outcome.failed:
        return 0
    path = TRACES / f"seed-{options.seed}.json"
    runs.save(runs.shrink(outcome) if shrinks else outcome, path)
    click.echo(f"replay: klasskart sim --replay {path}", err=True)
    click.echo(
        f"whole run: klasskart sim --seed {options.seed} --steps {options.steps}"
        f" --terminals {options.terminals} --accounts {options.accounts} --fault-gap {options.fault_gap}",
        err=True,
    )  # fmt: skip
    return 1


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    struck = sum(report["faults"].values())
    click.echo(
        f"seed {report['seed']}: {report['steps']} steps, {report['sales']} sales, {struck} faults of"
        f" {len(report['faults'])} kinds, {report['terminal_hours']} terminal hours,"
        f" {report['steps_per_second']} steps/s, {report['kopecks_unexplained']} kopecks unexplained,"
        f" trace {report['trace']}"
    )
    for violation in report["violations"]:
        name = violation["invariant"]
        click.echo(f"  {name} ({NAMES[name]}) at step {violation['step']}: {violation['text']}")


def _replay(path: Path, *, as_json: bool) -> int:
    options, mutant = runs.load(path)
    outcome = runs.run(options, mutant)
    _show(outcome.report, as_json=as_json)
    return 1 if outcome.failed else 0


# Mutants


def _hunt(name: str, *, steps: int) -> int:
    known = mutants()
    if name != "all" and name not in known:
        raise click.BadParameter(f"no mutant is called {name}; see --list-mutants", param_hint="--mutant")
    names = [name] if name != "all" else [each for each, mutant in known.items() if not mutant.missing]
    slipped = []
    for each in names:
        if known[each].missing:
            raise click.ClickException(f"{each} is not there yet: {known[each].missing}")
        try:
            caught = runs.hunt(each, steps=min(steps, runs.MUTANT_STEPS))
        except runs.DoesNotFit as crash:
            slipped.append(each)
            click.echo(f"{each}: does not fit the product any more: {crash}")
            continue
        if caught is None:
            slipped.append(each)
            click.echo(f"{each}: slipped through {runs.MUTANT_SEEDS} seeds")
            continue
        first = caught.outcome.report["violations"][0]
        click.echo(f"{each}: caught by {first['invariant']}, {caught.way}: {first['text']}")
    if name == "all":
        click.echo(f"{len(names) - len(slipped)} of {len(names)} caught")
    # A mutant that is caught is what --mutant shows: exit code 1, as of any run that finds a bug.
    return 0 if slipped else 1


def _print_mutants() -> None:
    table = Table("mutant", "the bug", "")
    for mutant in mutants().values():
        table.add_row(mutant.name, mutant.text, f"not yet: {mutant.missing}" if mutant.missing else "")
    _console().print(table)


# Faults and pairs


def _print_faults() -> None:
    table = Table("fault", "what happens", "")
    for kind in faults.kinds().values():
        table.add_row(kind.name, kind.text, f"not yet: {kind.missing}" if kind.missing else "")
    _console().print(table)


def _shown(outcomes: Iterator[runs.Outcome], total: int, what: str) -> Iterator[runs.Outcome]:
    """The same outcomes, with a bar on a terminal."""
    console = Console(stderr=True)
    return iter(track(outcomes, what, total, console=console, disable=not console.is_terminal))


def _part(text: str) -> tuple[int, int]:
    number, _slash, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise click.BadParameter(f"{text} is no part, as 2/5 is one", param_hint="--part")
    return int(number), int(of)


def _pairs(seed: int, names: tuple[str, ...], jobs: int, part_of: tuple[int, int], *, as_json: bool) -> int:
    covered: set[tuple[str, str]] = set()
    failed = 0
    together = list(runs.pair_runs(names, seed))[part_of[0] - 1 :: part_of[1]]
    wanted = {pair for part, _options in together for pair in part}
    outcomes = runs.run_all([options for _part, options in together], jobs)
    shown = _shown(outcomes, len(together), "ordered pairs")
    for (part, options), outcome in zip(together, shown, strict=True):
        covered |= set(part) & set(outcome.pairs)
        if outcome.failed:
            failed += 1
            path = TRACES / f"pairs-{options.seed}.json"
            runs.save(outcome, path)
            _show(outcome.report, as_json=False)
            click.echo(f"replay: klasskart sim --replay {path}", err=True)
    total = len(wanted)
    if as_json:
        missed = sorted(wanted - covered)
        click.echo(
            json.dumps(
                {"pairs_covered": len(covered), "pairs_total": total, "failed_runs": failed, "missed": missed}
            )
        )
    else:
        _print_matrix(names, covered)
        click.echo(f"{len(covered)} of {total} ordered pairs, {failed} failing runs")
    return 1 if failed or len(covered) < total else 0


def _print_matrix(names: tuple[str, ...], covered: set[tuple[str, str]]) -> None:
    click.echo("rows: the first fault; columns: the second, by number; x struck, . not")
    for number, first in enumerate(names, 1):
        line = "".join("x" if (first, second) in covered else "." for second in names)
        click.echo(f"{number:3} {first:28} {line}")
    missing = [kind.name for kind in faults.kinds().values() if kind.missing]
    if missing:
        click.echo("not there yet: " + ", ".join(missing))


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=160)
