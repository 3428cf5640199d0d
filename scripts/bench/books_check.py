"""Whether the books are complete after a run of `bench ingest`: the stream and the store counted."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import text

from cloud import db
from cloud.accounting import service as accounting
from cloud.archive import Archive, Records
from protocols.ledger import record
from scripts.bench.school_day import SchoolDay

_COUNTS = {
    "records": "SELECT count(*) FROM record WHERE school_id = :school",
    "refused": "SELECT count(*) FROM record WHERE school_id = :school AND refusal <> 0",
    "sales": "SELECT count(*) FROM entry WHERE school_id = :school AND kind = 'sale'",
    "sales_minor": (
        "SELECT coalesce(sum(p.amount_minor), 0)"
        " FROM posting p JOIN ledger_account a USING (school_id, ledger_account_id)"
        " WHERE p.school_id = :school AND a.code = 'caterer:1'"
    ),
    "passages": "SELECT count(*) FROM passage WHERE school_id = :school",
    "happenings": "SELECT count(*) FROM outbox WHERE school_id = :school",
}


def differences(day: SchoolDay) -> list[str]:
    """What the store has against what the devices said, a line for each difference; none is right."""
    expected = _expected(day)
    engine = db.engine(day.config.database_url)
    with db.reading(engine) as conn:
        found = {
            name: int(conn.execute(text(statement), {"school": day.school_id}).scalar_one())
            for name, statement in _COUNTS.items()
        }
        found["books_sum_minor"] = accounting.books_sum(conn, day.school_id)
        found["differing_balances"] = len(accounting.differing_balances(conn, day.school_id))
    engine.dispose()
    found["archived"] = len(
        {
            (item.device_id, item.epoch, item.raw[start : start + record.SIZE])
            for item in Archive(day.config.archive_dir).read()
            if isinstance(item, Records)
            for start in range(0, len(item.raw), record.SIZE)
        }
    )
    return [
        f"{name}: {found[name]} instead of {expected[name]}"
        for name in expected
        if found[name] != expected[name]
    ]


def _expected(day: SchoolDay) -> dict[str, int]:
    items = [item for journal in day.journals for item in journal.items]
    kinds = Counter(item.type for item in items)
    stages = Counter(item.flags & record.PASS_STAGE for item in items if item.type == record.PASS)
    turned = stages[record.PASS_TURNED]
    return {
        "records": len(items),
        "archived": len(items),
        "refused": 0,
        "sales": kinds[record.SALE],
        "sales_minor": sum(item.amount for item in items if item.type == record.SALE),
        "passages": turned + stages[record.PASS_NOT_TURNED],
        "happenings": turned + kinds[record.SALE],
        "books_sum_minor": 0,
        "differing_balances": 0,
    }
