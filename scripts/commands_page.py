"""Writes docs/commands.md from the commands themselves: every command of `klasskart` with its help page.

    python scripts/commands_page.py            shows the page
    python scripts/commands_page.py --write    writes it

Promises: the same commands give the same text.  Leaves the words to the commands: to change the page, change
a command's docstring or the help of its option.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

import click  # noqa: E402 - only after the path is right

from scripts.klasskart import klasskart  # noqa: E402

PAGE = ROOT / "docs" / "commands.md"
WIDTH = 100
HEAD = """# Commands

Every command of `klasskart` with its help page. `scripts/setup` puts it at `.venv/bin/klasskart`;
`scripts/demo` is `klasskart demo` on a fresh machine, `scripts/test` runs all checks and tests.
This page is made by `scripts/commands_page.py --write` from the commands themselves.
"""


def sections(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[str]:
    """The page's sections of a command and of all below it, hidden ones left out."""
    context = command.make_context(path.split(" ")[-1], ["--help"], parent, resilient_parsing=True)
    context.terminal_width = context.max_content_width = WIDTH
    yield f"## {path}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from sections(child, f"{path} {name}", context)


def page() -> str:
    """The whole page; raises click.ClickException when a branch cannot be loaded."""
    return "\n".join([HEAD, *sections(klasskart, "klasskart")])


@click.command()
@click.option("--write", is_flag=True, help="Write docs/commands.md instead of showing it.")
def main(*, write: bool) -> None:
    """Show or write the page of commands."""
    text = page()
    if write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


if __name__ == "__main__":
    main()
