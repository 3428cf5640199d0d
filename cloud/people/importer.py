"""A folder of a school's files, as one import: rosters, cards, menu, top-ups.

Promises: pupils before what hangs on them; good rows are applied and each bad one
is a problem with file, line and reason; with `strict` one problem anywhere
means that nothing is applied; the same folder again changes nothing.  Leaves the
meaning of each file to the importer of its room, and the exit code to cloud/cli.py.

students.csv, parents.csv, cards.csv and menu.csv must be there, each missing one
is a problem; topups.csv and classes.csv may be.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.cards import service as cards
from cloud.csv_file import Applied, Problem, Table, read_table
from cloud.db import lock_school
from cloud.keys import Vault
from cloud.meals import service as meals
from cloud.people import families, service, students

CLASSES, STUDENTS, PARENTS = "classes.csv", "students.csv", "parents.csv"
CARDS, MENU, TOPUPS = "cards.csv", "menu.csv", "topups.csv"


@dataclass
class Report:
    """What an import did.

    `rows`: good rows of each file, `changed`: those that were new or different;
    `warnings`: what a person should know of rows that were applied;
    `is_applied` is False when `strict` let nothing through.
    """

    rows: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    is_applied: bool = True

    @property
    def rows_applied(self) -> int:
        """Good rows of all files that stand in the database now."""
        return sum(self.rows.values()) if self.is_applied else 0

    @property
    def rows_changed(self) -> int:
        """Rows that changed the database."""
        return sum(self.changed.values()) if self.is_applied else 0

    def add(self, file: str, applied: Applied) -> None:
        """Take in what one file did."""
        self.rows[file] = applied.rows
        self.changed[file] = applied.changed
        self.problems += sorted(applied.problems)

    def as_json(self) -> dict[str, Any]:
        """For `--json`: no personal data in it."""
        return {
            "applied": self.is_applied,
            "rows_applied": self.rows_applied,
            "rows_changed": self.rows_changed,
            "files": {
                name: {"rows": rows, "changed": self.changed[name]} for name, rows in self.rows.items()
            },
            "problems": [problem._asdict() for problem in self.problems],
            "warnings": [warning._asdict() for warning in self.warnings],
        }


class _Undo(Exception):
    """Ends the inner transaction of a strict import without its changes."""


def import_school(
    conn: Connection,
    vault: Vault,
    folder: Path,
    school_id: int,
    strict: bool,
    now: int,
    *,
    random_bytes: service.RandomBytes = os.urandom,
) -> Report:
    """Import the files of a folder into a school that is there, in the caller's transaction."""
    lock_school(conn, school_id)
    report = Report()
    try:
        with conn.begin_nested():
            _import_files(conn, vault, folder, school_id, now, random_bytes, report)
            if strict and report.problems:
                raise _Undo
    except _Undo:
        report.is_applied = False
    return report


def _import_files(
    conn: Connection,
    vault: Vault,
    folder: Path,
    school_id: int,
    now: int,
    random_bytes: service.RandomBytes,
    report: Report,
) -> None:
    declared = _declared(folder, report)

    def pupils(table: Table) -> Applied:
        return students.import_students(conn, school_id, table, declared, random_bytes)

    def adults(table: Table) -> Applied:
        return families.import_parents(conn, school_id, table, random_bytes)

    def keys_to_accounts(table: Table) -> Applied:
        imported = cards.import_cards(conn, vault, school_id, table, now)
        report.warnings += imported.warnings
        return imported.applied

    def goods(table: Table) -> Applied:
        return meals.import_menu(conn, school_id, table)

    def money(table: Table) -> Applied:
        return accounting.import_topups(conn, school_id, table, now)

    steps: list[tuple[str, tuple[str, ...], Callable[[Table], Applied]]] = [
        (STUDENTS, students.STUDENT_COLUMNS, pupils),
        (PARENTS, families.COLUMNS, adults),
        (CARDS, cards.COLUMNS, keys_to_accounts),
        (MENU, meals.COLUMNS, goods),
        (TOPUPS, accounting.TOPUP_COLUMNS, money),
    ]
    for name, columns, apply in steps:
        path = folder / name
        if name == TOPUPS and not path.exists():
            continue
        report.add(name, apply(read_table(path, columns)))


def _declared(folder: Path, report: Report) -> set[str] | None:
    """The school's own list of classes, or None when it gives none."""
    path = folder / CLASSES
    if not path.exists():
        return None
    names, problems = students.declared_classes(read_table(path, students.CLASS_COLUMNS))
    report.problems += problems
    return names
