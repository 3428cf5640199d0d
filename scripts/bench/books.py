"""`bench books`: posting by one and by four writers, reading a balance, checking a million postings.

Promises: the product's own post(), check() and export; every rival reads the same books from the same disk.
`ledger` and `bean-check` get the same entries as text in their own format, written before the clock starts.
Passes over the whole books are CPU seconds, so that what else runs on the machine does not count; writers are
timed by the clock on the wall.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting import store
from cloud.accounting.beancount import account_name
from protocols.money import text_from_minor
from scripts.bench import books_stock, books_writers, postgres
from scripts.bench.report import BenchError, Goal, Report, Row

_SMALL, _BEAN = 10_000, 50_000
_READS = 300
_WRITERS = 4
_BARE = "SELECT sum(amount_minor) FROM posting WHERE school_id = ?"


def run(*, postings: int, sales: int, rounds: int) -> Report:
    """Measure and report; raises BenchError when a part does not run or the books are not whole."""
    ledger = shutil.which("ledger")
    if ledger is None:
        raise BenchError("ledger is not installed: apt-get install ledger")
    with tempfile.TemporaryDirectory(prefix="klasskart-bench-") as name:
        folder = Path(name)
        with postgres.server() as url:
            posting = _posting("PostgreSQL", url, sales, rounds)
        other = folder / "writers"
        other.mkdir()
        lite = _posting("SQLite", books_stock.database_url(other), sales, rounds)
        rows, goals = [*posting[0], *lite[0]], [*posting[1], *lite[1]]
        engine = books_stock.open_books(books_stock.database_url(folder))
        for part in (_reads_and_check(engine, folder, postings, ledger),):
            rows += part[0]
            goals += part[1]
        engine.dispose()
    settings = {
        "postings": postings, "sales of the writers": sales, "rounds": rounds,
        "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    }  # fmt: skip
    return Report("books", settings, goals, rows)


def _posting(database: str, url: str, sales: int, rounds: int) -> tuple[list[Row], list[Goal]]:
    """One writer and four, alternating; each sale is a transaction of its own."""
    engine = books_stock.open_books(url)
    runs: dict[int, list[books_writers.Written]] = {1: [], _WRITERS: []}
    first = 1
    for _round in range(rounds):
        for writers in runs:
            runs[writers].append(books_writers.run(url, writers=writers, sales=sales, first=first))
            first += sales
    _whole(engine)
    engine.dispose()
    one, four = (median(sales / each.seconds for each in runs[writers]) for writers in runs)
    share = median(a.seconds / b.seconds for a, b in zip(runs[1], runs[_WRITERS], strict=True))
    refused = sum(each.refused for each in (*runs[1], *runs[_WRITERS]))
    group = f"posting, {database}"
    rows = [
        Row(group, "one writer", one, "sales/s", note="a durable transaction for each"),
        Row(group, "four writers", four, "sales/s", share, "one writer", f"{refused} refused"),
    ]
    goals = [
        Goal(f"four writers to one, {database}", share, 1.0, at_least=True),
        Goal(f"refused sales, {database}", refused, 1, at_least=False),
    ]
    return rows, goals


def _whole(engine: Engine) -> None:
    with db.snapshot(engine) as conn:
        found = accounting.check(conn, books_stock.SCHOOL).differences
    wrong = [each for each in found if each.what != "record"]  # the writers' sales have no device behind them
    if wrong:
        raise BenchError(f"the books are not whole: {wrong[0]}")


def _read_us(engine: Engine) -> float:
    """Microseconds of reading one purse's balance: the median of some."""
    took = []
    with db.reading(engine) as conn:
        for number in range(_READS):
            code = accounting.purse(1 + number)
            started = time.perf_counter()
            accounting.balances(conn, books_stock.SCHOOL, [code])
            took.append(time.perf_counter() - started)
    return 1e6 * median(took)


def _reads_and_check(
    engine: Engine, folder: Path, postings: int, ledger: str
) -> tuple[list[Row], list[Goal]]:
    small, bean, all_of_them = (size // books_stock.LINES for size in (_SMALL, _BEAN, postings))
    books_stock.fill(engine, 1, small + 1)
    few = _read_us(engine)
    books_stock.fill(engine, small + 1, bean + 1)
    bean_s = _bean_check(engine, folder)
    started = time.monotonic()
    books_stock.fill(engine, bean + 1, all_of_them + 1)
    filled = (all_of_them - bean) / (time.monotonic() - started)
    many = _read_us(engine)
    bare, check = _passes(engine, all_of_them)
    ledger_s = _ledger(engine, folder, ledger)
    at = f"{postings:,} postings"
    rows = [
        Row("balance of a purse", f"{_SMALL:,} postings", few, "us"),
        Row("balance of a purse", at, many, "us", many / few, f"{_SMALL:,} postings"),
        Row("filling", "sales with records, 2,000 a batch", filled, "entries/s"),
        Row("books check", at, check, "CPU s", check / bare, "bare SUM", "chain, sums, caches, records"),
        Row("bare SUM", at, bare, "CPU s", note="one pass over the postings, nothing else"),
        Row("ledger bal", at, ledger_s, "CPU s", ledger_s / check, "books check", "no chain, no records"),
        Row("bean-check", f"{_BEAN:,} postings", bean_s, "CPU s", bean_s / _BEAN / (check / postings),
            "books check, a posting", "the export, --no-cache"),
    ]  # fmt: skip
    goals = [
        Goal("balance read, large to small", many / few, 2, at_least=False),
        Goal("books check to a bare SUM", check / bare, 10, at_least=False),
        Goal("ledger bal to books check", ledger_s / check, 1, at_least=True),
    ]
    return rows, goals


def _passes(engine: Engine, entries: int) -> tuple[float, float]:
    """CPU seconds of the bare pass and of the check, the lesser of two each, taken in turns."""
    bare, check = [], []
    for _turn in range(2):
        with db.snapshot(engine) as conn:
            started = time.process_time()
            conn.exec_driver_sql(_BARE, (books_stock.SCHOOL,)).all()
            bare.append(time.process_time() - started)
            started = time.process_time()
            found = accounting.check(conn, books_stock.SCHOOL)
            check.append(time.process_time() - started)
        if found.differences or found.entries != entries:
            raise BenchError(f"the books are not whole: {found.differences[:1]} in {found.entries} entries")
    return min(bare), min(check)


def _bean_check(engine: Engine, folder: Path) -> float:
    program = Path(sys.executable).with_name("bean-check")
    if not program.exists():
        raise BenchError("bean-check is not installed: scripts/setup --dev")
    path = folder / "books.beancount"
    with db.snapshot(engine) as conn, path.open("w", encoding="utf-8") as file:
        accounting.export_beancount(conn, books_stock.SCHOOL, file.write)
    return _program_s([str(program), "--no-cache", str(path)])


def _ledger(engine: Engine, folder: Path, program: str) -> float:
    path = folder / "books.ledger"
    _write_ledger(engine, path)
    return _program_s([program, "-f", str(path), "bal"])


def _write_ledger(engine: Engine, path: Path) -> None:
    """The same entries in ledger's format, the shortest that it takes."""
    part = 5000
    with db.snapshot(engine) as conn, path.open("w", encoding="utf-8") as file:
        names = {number: account_name(code) for number, code in store.codes(conn, books_stock.SCHOOL).items()}
        last = store.last_entry(conn, books_stock.SCHOOL)
        for after in range(0, last, part):
            owner = 0
            for entry, account, amount in store.chain_postings(conn, books_stock.SCHOOL, after, after + part):
                if entry != owner:
                    owner = entry
                    file.write(f"\n2026-09-01 * {entry}\n")
                file.write(f"  {names[account]}  {text_from_minor(amount)} RUB\n")


def _program_s(command: list[str]) -> float:
    """CPU seconds of a program that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise BenchError(f"{command[0]}: {done.stderr.strip()[:200]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
