"""`klasskart books` on played books: check, explain and the export that bean-check reads."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from cloud import db, migrations
from cloud.accounting import service
from cloud.accounting.cli import books
from cloud.config import Config
from protocols.ledger import record
from tests.cloud.accounting.test_check import drop_triggers
from tests.cloud.ingest.peer import World

BEAN_CHECK = Path(sys.executable).with_name("bean-check")


@pytest.fixture
def world(empty_url: str, tmp_path: Path) -> Iterator[World]:
    """A school with a sale and a void, and a cloud.toml that leads to it."""
    config = Config(data_dir=tmp_path, database_url=empty_url)
    config.write()
    engine = db.engine(empty_url)
    migrations.upgrade(engine)
    made = World(engine, tmp_path)
    account = made.of_line(made.line)[0]
    made.line.write(record.GRANT, account=account, amount=9000)
    sale = made.line.sell(account)
    made.line.write(record.VOID, 1, account, 8500, sale)
    made.handle(*made.line.all_recs())
    yield made
    engine.dispose()


def run(world: World, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = CliRunner().invoke(books, [*arguments, "--config", str(world.folder)], catch_exceptions=False)
    return done.exit_code, done.output


def entry_of(world: World, kind: str) -> int:
    return world.rows(f"SELECT entry_id FROM entry WHERE school_id = ? AND kind = '{kind}'")[0][0]


def break_books(world: World, statement: str) -> None:
    with db.begin(world.engine) as conn:
        drop_triggers(conn)
        conn.execute(text(statement))


def test_whole_books_are_called_whole(world: World) -> None:
    code, output = run(world, "check")
    assert (code, "whole" in output) == (0, True)
    code, output = run(world, "check", "--json")
    told = json.loads(output)
    assert (code, told["whole"], told["differences"]) == (0, True, [])


def test_first_differing_entry_is_named(world: World) -> None:
    sale = entry_of(world, "sale")
    break_books(world, f"UPDATE entry SET reason = 'x' WHERE entry_id >= {sale}")
    code, output = run(world, "check")
    assert code == 1
    assert output.splitlines()[1].startswith(f"entry {sale}: chain")


def test_sale_is_followed_to_its_device(world: World) -> None:
    sale, void = entry_of(world, "sale"), entry_of(world, "reversal")
    code, output = run(world, "explain", str(sale))
    raw = world.line.raws[1].hex()
    assert code == 0
    for part in ("line-1", "record 2  sale", raw, "MAC ok", f"corrected by: entry {void}", "-85.00"):
        assert part in output
    code, output = run(world, "explain", str(void), "--json")
    told = json.loads(output)
    assert told["corrects"] == [sale]
    assert told["record"]["chain"]["holds"]


def test_topup_has_no_record(world: World) -> None:
    code, output = run(world, "explain", "1")
    assert (code, "no record of a device" in output) == (0, True)


def test_forged_record_has_a_broken_mac(world: World) -> None:
    forged = record.seal(record.pack_body(record.Record(record.SALE, 1, 20000, 2, 11, 5, 300, 1)), bytes(32))
    hexed = {"sqlite": f"x'{forged.hex()}'", "postgresql": f"'\\x{forged.hex()}'"}[world.engine.dialect.name]
    break_books(world, f"UPDATE record SET raw = {hexed} WHERE seq = 2")
    code, output = run(world, "explain", str(entry_of(world, "sale")))
    assert (code, "MAC BROKEN: record 2" in output) == (1, True)


def test_missing_tail_breaks_the_proof(world: World) -> None:
    break_books(world, "DELETE FROM record WHERE seq = 3")
    code, output = run(world, "explain", str(entry_of(world, "sale")))
    assert (code, "another head" in output) == (1, True)


def test_unknown_entry_is_one_line(world: World) -> None:
    assert run(world, "explain", "9999") == (2, "klasskart cloud: there is no entry 9999\n")


def bean_check(path: Path) -> tuple[int, str]:
    """What beancount's own checker says of a file."""
    done = subprocess.run([BEAN_CHECK, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_bean_check_agrees_with_the_books(world: World, tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"
    code, output = run(world, "export", "--beancount", str(path))
    count = world.rows("SELECT count(*) FROM entry WHERE school_id = ?")[0][0]
    assert (code, output) == (0, f"{count} entries in {path}\n")
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_text().count(" * ") == count
    assert bean_check(path) == (0, "")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET amount_minor = amount_minor + 1 WHERE entry_id = 2 AND line = 2",
        "UPDATE balance SET amount_minor = amount_minor + 1 WHERE ledger_account_id = 1",
    ],
)
def test_bean_check_sees_a_wrong_kopeck(world: World, tmp_path: Path, statement: str) -> None:
    break_books(world, statement)
    path = tmp_path / "books.beancount"
    run(world, "export", "--beancount", str(path))
    code, said = bean_check(path)
    assert code != 0
    assert "balance" in said.lower()


def test_reasons_cannot_break_out_of_the_export(world: World, tmp_path: Path) -> None:
    reason = 'a"\n2026-01-01 open Assets:Mine\\'
    entry = service.Entry("odd", "topup", 1, ((service.BANK, -1), (service.purse(9), 1)), reason=reason)
    with db.begin(world.engine) as conn:
        service.post(conn, world.school, [entry], 9)
    path = tmp_path / "books.beancount"
    run(world, "export", "--beancount", str(path))
    assert bean_check(path) == (0, "")
    assert "\n2026-01-01 open" not in path.read_text()
