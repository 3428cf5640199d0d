"""Reads a school's day of taps: day.csv as rows that can be played, and what is wrong with the others.

It promises that a row is either a whole `Tap` or one `Problem` with its line and reason, and that the taps
come in the order of their time (rows of the same second in the order of the file). It reads the encodings
that schools send. Whether a card is known or a meal is on sale is for the boards to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from cloud.csv_file import Problem, read_table
from protocols.card.credential import canonical
from protocols.errors import Fault

COLUMNS = ("time", "device", "reader", "credential", "passes")


@dataclass(frozen=True)
class Tap:
    """One card held to one reader. `at` in UTC seconds; `passes`: the rotor turns when it is let free.

    `goods`: (good, quantity) pairs that were rung up for it; without any a line sells what the hour sells.
    """

    line: int
    at: int
    device: str
    reader: str
    credential: str
    passes: bool
    goods: tuple[tuple[int, int], ...] = ()


def read_day(
    path: Path, *, on: date, zone: str, devices: Mapping[str, str]
) -> tuple[list[Tap], list[Problem]]:
    """The taps of a day in the order of time, and the rows that cannot be played.

    `devices` maps the label of each board to its kind, `gate` or `canteen`; `zone` is the school's time zone.
    """
    table = read_table(path, COLUMNS)
    taps: list[Tap] = []
    problems = list(table.problems)
    for row in table.rows:
        try:
            taps.append(_tap(row.line, row.fields, on=on, zone=ZoneInfo(zone), devices=devices))
        except ValueError as error:
            problems.append(table.problem(row.line, str(error)))
    taps.sort(key=lambda tap: (tap.at, tap.line))
    return taps, sorted(problems, key=lambda problem: problem.line)


def _tap(line: int, row: Mapping[str, str], *, on: date, zone: ZoneInfo, devices: Mapping[str, str]) -> Tap:
    """One row as a tap; ValueError names the field that is wrong."""
    device, reader, passes = row["device"], row["reader"], row["passes"].lower()
    at = _moment(row["time"], on=on, zone=zone)
    if device not in devices:
        raise ValueError("the device is unknown")
    if devices[device] == "gate":
        if reader not in ("in", "out"):
            raise ValueError("a gate has the readers in and out")
        if passes not in ("yes", "no"):
            raise ValueError("passes must be yes or no at a gate")
    elif reader not in ("", "-"):
        raise ValueError("a line has one reader, without a name")
    try:
        credential = canonical(row["credential"])
    except Fault as fault:
        raise ValueError(f"the credential's {fault.thing} is wrong") from fault
    return Tap(line, at, device, reader or "-", credential, passes == "yes")


def _moment(text: str, *, on: date, zone: ZoneInfo) -> int:
    """UTC seconds of HH:MM:SS local time on a day; ValueError when it is no time."""
    try:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
        local = time(hours, minutes, seconds)
    except ValueError as error:
        raise ValueError("the time is not of the form 08:30:00") from error
    return int(datetime.combine(on, local, tzinfo=zone).timestamp())
