"""What makes tables append-only, on both databases, also for programs that are none of ours.

Promises: no UPDATE, DELETE or TRUNCATE; on SQLite no row of the books is replaced either, whatever a
connection has switched on.  An owner of the database can drop all of it: the check of the books finds what
was done then.
"""

from collections.abc import Iterable

from sqlalchemy import DDL, MetaData, Table, UniqueConstraint, event

NO_REPLACE = ("entry", "ledger_account", "posting")
"""Without `PRAGMA recursive_triggers`, INSERT OR REPLACE deletes rows past a trigger on DELETE.

The others take a row for each record of a device, and a trigger on each costs ingest 2-3 %.
"""


def keep_append_only(metadata: MetaData, names: Iterable[str]) -> None:
    """Make the triggers with the tables."""
    for name in names:
        for dialect, statement in _append_only(metadata.tables[name]):
            ddl = DDL(statement).execute_if(dialect=dialect)
            event.listen(metadata.tables[name], "after_create", ddl)


def _append_only(table: Table) -> list[tuple[str, str]]:
    """(dialect, statement) pairs."""
    name = table.name
    words = f"'{name} is append-only'"
    statements = []
    for act in ("UPDATE", "DELETE"):
        trigger = f"CREATE TRIGGER {name}_no_{act.lower()} BEFORE {act} ON {name}"
        statements.append(("sqlite", f"{trigger} BEGIN SELECT RAISE(ABORT, {words}); END"))
    if name in NO_REPLACE:
        statements.append(("sqlite", _no_replace(table)))
    body = f"RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION {words}; END $$"
    statements.append(("postgresql", f"CREATE FUNCTION {name}_append_only() {body}"))
    trigger = f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}"
    statements.append(("postgresql", f"{trigger} FOR EACH STATEMENT EXECUTE FUNCTION {name}_append_only()"))
    return statements


def _no_replace(table: Table) -> str:
    """A trigger that refuses a row whose key, or whose place in the file, is taken."""
    name = table.name
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    keys = [table.primary_key.columns.keys(), *(each.columns.keys() for each in unique), ["rowid"]]
    same = (" AND ".join(f"{column} = NEW.{column}" for column in columns) for columns in keys)
    there = " OR ".join(f"EXISTS (SELECT 1 FROM {name} WHERE {each})" for each in same)  # noqa: S608 our own
    return (
        f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} WHEN {there}"
        f" BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
    )
