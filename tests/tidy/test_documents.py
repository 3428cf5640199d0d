"""What a person can meet is written down: each command with its options, each refusal number, each link."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from protocols import errors
from scripts.klasskart import klasskart
from tests.tidy.house import House, repository, seeded

COMMANDS_PAGE = "docs/commands.md"
REFUSALS_PAGE = "docs/protocol.md"
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def commands_of(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """(whole name, command) of the group and everything below it."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group, info_name=path)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None:
                yield from commands_of(command, f"{path} {name}")


def unwritten_commands(page: str, root: click.Command) -> list[str]:
    """Commands and options that the page does not name."""
    wrong = []
    for path, command in commands_of(root, "klasskart"):
        if command.hidden:
            continue
        if not re.search(rf"{re.escape(path)}(?![\w-])", page):
            wrong.append(f"{COMMANDS_PAGE}: '{path}' is missing")
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else []:
                hidden = isinstance(parameter, click.Option) and parameter.hidden
                if option.startswith("--") and not hidden and not re.search(rf"{option}(?![\w-])", page):
                    wrong.append(f"{COMMANDS_PAGE}: '{path}' takes {option}, which is missing")
    return wrong


def unwritten_refusals(page: str, names: dict[int, str]) -> list[str]:
    """Refusal numbers without a row `| number | `name` | ...` on the page."""
    return [
        f"{REFUSALS_PAGE}: refusal {code} `{name}` is missing"
        for code, name in sorted(names.items())
        if not re.search(rf"^\|\s*{code}\s*\|\s*`?{name}`?\s*\|", page, re.MULTILINE)
    ]


def numbers_of(module: object) -> dict[str, int]:
    """The refusal numbers of protocols/errors.py by the names of their constants."""
    return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, int)}


def wrong_numbers(numbers: dict[str, int], names: dict[int, str]) -> list[str]:
    """Numbers that are used twice, out of order, or without a name."""
    wrong = []
    values = list(numbers.values())
    for (name, value), before in zip(numbers.items(), [-1, *values], strict=False):
        if value <= before:
            wrong.append(f"{name} = {value} comes after {before}")
        if names.get(value) != name.lower():
            wrong.append(f"{name} = {value} is called {names.get(value)}")
    return wrong


def dead_links(house: House) -> list[str]:
    """Links of our pages to files that are not there."""
    wrong = []
    for path, text in house.texts():
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for target, _anchor in _LINK.findall(line):
                if "://" not in target and not (house.root / path).parent.joinpath(target).exists():
                    wrong.append(f"{path}:{number}: there is no {target}")
    return wrong


def test_each_command_is_written_down():
    wrong = unwritten_commands(repository().document(COMMANDS_PAGE), klasskart)
    assert not wrong, "\n".join([*wrong, "python scripts/commands_page.py --write makes the page anew"])


def test_each_refusal_is_written_down():
    wrong = unwritten_refusals(repository().document(REFUSALS_PAGE), errors.names())
    assert not wrong, "\n".join(wrong)


def test_refusal_numbers_are_used_once():
    assert wrong_numbers(numbers_of(errors), errors.names()) == []


def test_links_lead_somewhere():
    wrong = dead_links(repository())
    assert not wrong, "\n".join(wrong)


@click.group(name="klasskart")
def seed():
    """A root with one command, for the self-tests."""


@seed.command()
@click.option("--fresh", is_flag=True)
def demo(fresh):
    """A command."""


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ("klasskart demo --fresh", 0),
        ("klasskart demo", 1),
        ("klasskart --fresh", 1),
        ("klasskart demo-school --fresh", 1),
        ("klasskart demo --freshly", 1),
        ("", 3),
    ],
)
def test_missing_command_is_seen(page, missing):
    assert len(unwritten_commands(page, seed)) == missing


def test_missing_refusal_is_seen():
    page = "| 20 | `repeated_tap` | the same card again |\n| 21 | card_unknown |\n"
    assert unwritten_refusals(page, {20: "repeated_tap", 21: "card_unknown"}) == []
    assert len(unwritten_refusals(page, {2: "repeated_tap", 22: "card_blocked"})) == 2


def test_number_used_twice_is_seen():
    names = {0: "ok", 10: "full", 11: "write"}
    assert wrong_numbers({"OK": 0, "FULL": 10, "WRITE": 11}, names) == []
    assert wrong_numbers({"OK": 0, "FULL": 10, "WRITE": 10}, names) != []
    assert wrong_numbers({"OK": 0, "WRITE": 11, "FULL": 10}, names) != []
    assert wrong_numbers({"OK": 0, "FULL": 10, "WRITE": 12}, names) != []


def test_dead_link_is_seen(tmp_path):
    seeded(tmp_path, "docs/ledger.md", "# Ledger\n")
    house = seeded(
        tmp_path, "README.md", "[a](docs/ledger.md#x) [b](https://example.org/) ![c](docs/gone.png)\n"
    )
    assert dead_links(house) == ["README.md:1: there is no docs/gone.png"]
