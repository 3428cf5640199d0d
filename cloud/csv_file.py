"""Reads the CSV files that schools hand over, as they are.

Promises: UTF-8 with or without a byte order mark or cp1251, `;` or `,` or tab,
quotes, any line ends; each row comes with the number of its line in the file;
whatever cannot be read is a Problem that names file, line and reason, and the
rows around it are still read.  One physical line is one row: a quote that is
left open spoils its own line only.  Leaves the meaning of columns to importers.
No value of a row is ever repeated in a reason: reasons land in logs.

Why not sqlite-utils' rows_from_file: docs/decisions/csv-files.md.
"""

import codecs
import csv
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SIZE_MAX = 10 * 1024 * 1024
_LINE_MAX = 10_000
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_DELIMITERS = (";", ",", "\t")
_SPACES = " \t\u00a0\u202f\ufeff"


class Problem(NamedTuple):
    """One row, or a whole file (line 0), that was not applied, and why; carries no personal data."""

    file: str
    line: int
    reason: str


class Row(NamedTuple):
    """`fields`: column name in lower case to its text, without spaces around it."""

    line: int
    fields: dict[str, str]


@dataclass(frozen=True)
class Table:
    """The rows of a file that could be read and the problems of those that could not."""

    file: str
    rows: list[Row]
    problems: list[Problem]

    def problem(self, line: int, reason: str) -> Problem:
        """A problem of this file, for importers."""
        return Problem(self.file, line, reason)


class Applied(NamedTuple):
    """What an importer did with one file.

    `rows`: good rows, `changed`: those of them that were new or different,
    `problems`: of reading and of meaning together, by line.
    """

    rows: int
    changed: int
    problems: list[Problem]


class Refused(Exception):
    """A row is not applied; the argument is the reason, without a value of the row."""


class _Line(NamedTuple):
    number: int
    text: str | None
    """None: the bytes are not in the encoding of the file."""


def read_table(path: Path, columns: Iterable[str]) -> Table:
    """Read a CSV file that must have `columns` in its header, in any order; further ones are passed on too.

    Never raises for what is in the file: a file that is missing, too big or
    without its header is an empty Table with one problem on line 0 or 1.
    """
    try:
        if path.stat().st_size > SIZE_MAX:
            return _unreadable(path, 0, f"the file is larger than {SIZE_MAX // 1024 // 1024} MB")
        raw = path.read_bytes()
    except FileNotFoundError:
        return _unreadable(path, 0, "the file is missing")
    except OSError as error:
        return _unreadable(path, 0, f"the file cannot be read: {error.strerror}")
    return parse_table(path.name, raw, columns)


def parse_table(file: str, raw: bytes, columns: Iterable[str]) -> Table:
    """The same for bytes that are at hand, such as an upload; `file` is the name that problems carry."""
    wanted = list(columns)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Table(file, [], [Problem(file, 0, "the file is UTF-16: save it as CSV UTF-8")])
    lines = [line for line in _decoded(raw) if line.text is None or line.text.strip(_SPACES)]
    if not lines:
        return Table(file, [], [Problem(file, 0, "the file is empty")])
    head, body = lines[0], lines[1:]
    if head.text is None:
        return Table(file, [], [Problem(file, head.number, "the header cannot be decoded")])
    delimiter, names = _header(head.text, wanted)
    missing = [name for name in wanted if name not in names]
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if missing:
        return Table(file, [], [Problem(file, head.number, "column missing: " + ", ".join(missing))])
    if doubled:
        return Table(file, [], [Problem(file, head.number, "column given twice: " + ", ".join(doubled))])
    table = Table(file, [], [])
    for line in body:
        row = _row(line, delimiter, names)
        if isinstance(row, Row):
            table.rows.append(row)
        elif row:
            table.problems.append(Problem(file, line.number, row))
    return table


def _unreadable(path: Path, line: int, reason: str) -> Table:
    return Table(path.name, [], [Problem(path.name, line, reason)])


def _row(line: _Line, delimiter: str, names: list[str]) -> Row | str:
    """The row of a line, the reason why there is none, or "" for a row of empty cells."""
    if line.text is None:
        return "the line cannot be decoded: its letters are in another encoding than the file"
    if len(line.text) > _LINE_MAX:
        return f"malformed line: longer than {_LINE_MAX} letters"
    cells = _cells(line.text, delimiter)
    if cells is None:
        return "malformed line: a quote is out of place"
    while len(cells) > len(names) and not cells[-1]:
        cells.pop()  # spreadsheets leave empty cells behind
    if not any(cells):
        return ""
    if len(cells) != len(names):
        return f"malformed line: {len(cells)} fields, the header has {len(names)}"
    if any(unicodedata.category(character) in _INVISIBLE for character in "".join(cells)):
        return "malformed line: a control character"
    return Row(line.number, {name: cell for name, cell in zip(names, cells, strict=True) if name})


def _header(text: str, wanted: list[str]) -> tuple[str, list[str]]:
    """The delimiter under which most wanted columns are there, and the names it gives."""
    best: tuple[int, str, list[str]] = (-1, _DELIMITERS[0], [])
    for delimiter in _DELIMITERS:
        names = [cell.lower() for cell in _cells(text, delimiter) or []]
        found = sum(name in names for name in wanted)
        if found > best[0]:
            best = (found, delimiter, names)
    return best[1], best[2]


def _cells(text: str, delimiter: str) -> list[str] | None:
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
    return [unicodedata.normalize("NFC", cell).strip(_SPACES) for cell in cells]


def _decoded(raw: bytes) -> Iterator[_Line]:
    """The lines of a file; a line in another encoding than the rest has no text.

    A file of Cyrillic cp1251 is as good as never valid UTF-8, so what is valid
    is UTF-8.  Otherwise the lines vote, so that one broken line in a UTF-8 file
    does not turn all its names into cp1251 nonsense.
    """
    marked = raw.startswith(codecs.BOM_UTF8)
    lines = raw.removeprefix(codecs.BOM_UTF8).splitlines()
    foreign = [line for line in lines if not line.isascii()]
    good = sum(_decode(line, "utf-8") is not None for line in foreign)
    is_utf8 = marked or good > len(foreign) - good or good == len(foreign)
    for number, line in enumerate(lines, start=1):
        if line.isascii() or is_utf8:
            yield _Line(number, _decode(line, "utf-8"))
        elif _decode(line, "utf-8") is not None:
            yield _Line(number, None)
        else:
            yield _Line(number, _decode(line, "cp1251"))


def _decode(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def text_of(fields: dict[str, str], name: str, *, empty: bool = False, longest: int = 100) -> str:
    """The text of a column, or Refused when it is missing or too long to be meant."""
    value = fields[name]
    if not value and not empty:
        raise Refused(f"{name} is empty")
    if len(value) > longest:
        raise Refused(f"{name} is longer than {longest} letters")
    return value
