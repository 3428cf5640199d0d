"""The `klasskart` command: one root, whose branches are imported only when they are asked for.

Promises: `klasskart --help` loads no branch, so it answers at once and even when a branch is broken; a branch
that cannot be loaded says what is missing in one line.  Leaves every command to its own module: a command is
a thin function over its room's services.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    # Run as a file: the folder of this file would hide the repository's packages.
    sys.path[0] = str(ROOT)

import click  # noqa: E402 - only after the path is right


class Branch(NamedTuple):
    """Where a sub-command lives (`attribute` of `module`) and its line in `klasskart --help`."""

    module: str
    attribute: str
    summary: str


BRANCHES = {
    "backup": Branch("cloud.restore.command", "backup", "Copy database, archive and keys while all runs."),
    "restore": Branch("cloud.restore.command", "restore", "Put a backup back and begin a recovery."),
    "bench": Branch("scripts.bench.command", "bench", "Measure the tap and the way to the books, as ratios."),
    "books": Branch("cloud.accounting.cli", "books", "Check, explain and export the books."),
    "card": Branch("reader_host.desk.command", "card", "Read printed card numbers; check card cryptography."),
    "cards": Branch("cloud.cards.commands", "group", "Cards of a file, keys of cards, desks."),
    "cloud": Branch("cloud.cli", "cloud", "Run and look after the cloud: migrate, serve, ingest, worker."),
    "demo": Branch("scripts.play.command", "demo", "Start a demo school, or play a school's day once."),
    "desk": Branch("reader_host.desk.program", "desk", "Give, look at, replace and wipe cards on a reader."),
    "goods": Branch("cloud.meals.commands", "goods", "Dishes and products: prices, allergens, checks."),
    "menu": Branch("cloud.meals.commands", "menu", "What a school cooks on which day; its workbooks."),
    "reconcile": Branch(
        "cloud.reconciliation.cli", "reconcile", "Compare a day's journals, books and statements; the bound."
    ),
    "sim": Branch(
        "scripts.sim.command", "sim", "Run a whole school under faults and look for one lost kopeck."
    ),
    "till": Branch(
        "reader_host.till.program", "till", "Serve in a canteen: a touchscreen page before a line."
    ),
}


class LazyGroup(click.Group):
    """A group that knows its branches by name and imports one when it is used."""

    def __init__(self, *, branches: dict[str, Branch], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._branches = branches

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all branches, in the order of the alphabet."""
        return sorted({*self._branches, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None when there is no such branch.

        Raises click.ClickException when the branch is known and cannot be loaded.
        """
        branch = self._branches.get(cmd_name)
        if branch is None:
            return super().get_command(ctx, cmd_name)
        return load(cmd_name, branch)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help page, from the summaries alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, branch.summary) for name, branch in sorted(self._branches.items())])


def load(name: str, branch: Branch) -> click.Command:
    """Import the branch and return its command; raises click.ClickException with a line that helps."""
    try:
        module = importlib.import_module(branch.module)
    except ModuleNotFoundError as missing:
        lost = missing.name or "?"
        if branch.module == lost or branch.module.startswith(lost + "."):
            raise click.ClickException(
                f"'{name}' is not part of this copy: there is no {branch.module}"
            ) from missing
        raise click.ClickException(f"'{name}' needs the package '{lost}': run scripts/setup") from missing
    command = getattr(module, branch.attribute, None)
    if not isinstance(command, click.Command):
        raise click.ClickException(f"'{name}': {branch.module} has no command named '{branch.attribute}'")
    return command


@click.group(cls=LazyGroup, branches=BRANCHES, context_settings={"help_option_names": ["-h", "--help"]})
def klasskart() -> None:
    """KlassKart: the school card that works offline, from the tap at the gate to the parent's page."""


def main() -> None:
    """The entry point of the launcher that scripts/setup writes."""
    klasskart(prog_name="klasskart")


if __name__ == "__main__":
    main()
