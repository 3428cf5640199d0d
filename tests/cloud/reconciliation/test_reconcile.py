"""A day by its three sides: it balances to zero, or every differing thing has its name."""

import pytest
from sqlalchemy import Engine, text

from cloud import db
from cloud.accounting import service as accounting
from cloud.csv_file import parse_table
from cloud.reconciliation import compare, service, store
from cloud.reconciliation.cli import day_lines
from cloud.statements import service as statements
from protocols.ids import hex8
from protocols.ledger import record
from tests.cloud.accounting.test_check import edit
from tests.cloud.ingest.peer import DAY, NOON, World

EMPTY_DAY = DAY - 7


def close(peer) -> None:
    """The device ends its day."""
    numbers = [
        seq
        for seq, raw in enumerate(peer.raws, 1)
        if record.unpack(raw).type in record.OPERATIONS
    ]  # fmt: skip
    if numbers:
        peer.write(record.CLOSE_DAY, amount=len(numbers), aux=numbers[-1])


@pytest.fixture
def world(store: Engine, tmp_path) -> World:
    """A day of sales, a void, a refused sale and a passage, sent and closed."""
    made = World(store, tmp_path)
    for line in (made.line, made.other):
        for account in made.of_line(line):
            line.write(record.GRANT, account=account, amount=100_000)
            line.sell(account)
            sale = line.sell(account, 2)
        line.write(record.VOID, 1, account, 14000, sale)
    made.line.sell(made.of_line(made.line)[0], price=1234)
    made.gate.walk(made.pupils[0])
    return made


def send(world: World, *open_ones) -> World:
    for peer in (world.line, world.other, world.gate):
        if peer not in open_ones:
            close(peer)
        world.handle(*peer.all_recs())
    return world


def told(world: World, day: int = DAY) -> service.Reconciled:
    with db.snapshot(world.engine) as conn:
        return service.reconcile(conn, world.school, day)


def named(world: World) -> list[tuple]:
    """(kind, device, seq, left, right) of each item."""
    return [(it.kind, it.device_label, it.seq, it.left, it.right) for it in told(world).items]


def say(world: World, line: str) -> list[str]:
    """Give a caterer's statement of one line; returns the problems."""
    raw = f"date;portions;amount_rub\n{line}\n".encode()
    with db.begin(world.engine) as conn:
        table = parse_table("caterer.csv", raw, statements.CATERER_COLUMNS)
        return [each.reason for each in statements.import_caterer(conn, world.school, table, 5).problems]


def test_closed_day_balances_to_zero(world: World) -> None:
    found = told(send(world))
    assert (found.state, found.items, found.awaited, found.difference_minor) == (service.AGREES, [], [], 0)
    each = 2 * 2 * (8500 + 14000) - 2 * 14000
    assert found.journal_minor == found.books_minor == each
    assert found.sales == 6
    lines = {one.label: one for one in found.devices}
    assert (lines["line-1"].suspended, lines["line-1"].suspense_minor) == (1, 1234)
    assert found.suspense_minor == 1234
    assert (lines["gate-1"].operations, lines["gate-1"].state) == (2, service.CLOSED)
    assert found.topups.books_minor == found.topups.bank_minor == 400_000
    assert "difference 0.00: it balances" in list(day_lines(found))


def test_open_day_names_whom_it_waits_for(world: World) -> None:
    found = told(send(world, world.other, world.gate))
    assert (found.state, found.items) == (service.PROVISIONAL, [])
    assert [one.label for one in found.awaited] == ["gate-1", "line-2"]
    assert "provisional: the day is not closed by gate-1, line-2" in list(day_lines(found))


def test_silent_device_is_waited_for(world: World) -> None:
    close(world.line)
    world.handle(*world.line.all_recs())
    world.handle(world.other.hello())
    found = told(world)
    assert [one.label for one in found.awaited] == ["line-2"]
    assert "gate-1" not in [one.label for one in found.devices]


def test_later_record_shows_an_idle_day(world: World) -> None:
    send(world)
    found = told(world, EMPTY_DAY)
    assert {one.label: one.state for one in found.devices} == dict.fromkeys(
        ("gate-1", "line-1", "line-2"), service.IDLE
    )
    assert found.state == service.AGREES


def test_lost_device_is_not_waited_for(world: World) -> None:
    send(world, world.other)
    edit(world.engine, f"UPDATE device_epoch SET status = 'lost' WHERE device_id = {world.other.device}")
    found = told(world)
    assert (found.state, [one.label for one in found.ended]) == (service.AGREES, ["line-2"])


SALE = "(SELECT min(seq) FROM record WHERE type = 6 AND device_id = {line})"
ENTRY = "(SELECT entry_id FROM entry WHERE device_id = {line} AND seq = " + SALE + " AND kind = 'sale')"
POSTINGS = "FROM posting WHERE entry_id = " + ENTRY
EDITS = {
    "DELETE " + POSTINGS + "; DELETE FROM entry WHERE entry_id = " + ENTRY:
        [(compare.NO_ENTRY, 8500, 0)],
    "DELETE " + POSTINGS:
        [(compare.AMOUNT, 8500, 0)],
    "UPDATE posting SET amount_minor = amount_minor * 2 WHERE entry_id = " + ENTRY:
        [(compare.AMOUNT, 8500, 17000)],
    "UPDATE posting SET ledger_account_id = (SELECT ledger_account_id FROM ledger_account WHERE code ="
    " 'suspense:rule') WHERE amount_minor > 0 AND entry_id = " + ENTRY:
        [(compare.ACCOUNT, 8500, 8500)],
    "UPDATE posting SET ledger_account_id = (SELECT ledger_account_id FROM ledger_account WHERE code ="
    " '{other_purse}') WHERE amount_minor < 0 AND entry_id = " + ENTRY:
        [(compare.ACCOUNT, 8500, 8500)],
    "UPDATE record SET amount = 8600 WHERE device_id = {line} AND seq = " + SALE:
        [(compare.AMOUNT, 8600, 8500)],
    "UPDATE record SET account_id = 1 WHERE device_id = {line} AND seq = " + SALE:
        [(compare.ACCOUNT, 8500, 8500)],
    "DELETE FROM record WHERE device_id = {line} AND seq = " + SALE:
        [(compare.NO_RECORD, 0, 8500), (compare.GAP, 6, 5)],
    "UPDATE record SET refusal = 33 WHERE device_id = {line} AND seq = " + SALE:
        [(compare.ACCOUNT, 8500, 8500)],
}  # fmt: skip


@pytest.mark.parametrize("statement", EDITS)
def test_differing_record_has_its_name(world: World, statement: str) -> None:
    send(world)
    purse = accounting.purse(world.of_line(world.other)[0])
    lines = statement.format(line=world.line.device, other_purse=purse).split("; ")
    edit(world.engine, *lines)
    found = named(world)
    assert [(kind, left, right) for kind, _label, _seq, left, right in found] == EDITS[statement]
    assert {(label, seq) for _kind, label, seq, _left, _right in found} == {("line-1", 2)}
    assert told(world).state == service.DIFFERS
    assert any("line-1 record 2: " in line for line in day_lines(told(world)))


def test_second_entry_of_a_sale_is_named(world: World) -> None:
    send(world)
    lines = ((accounting.purse(world.pupils[0]), -8500), (accounting.CATERER, 8500))
    entry = accounting.Entry("twice", "sale", world.now, lines, world.line.device, 1, 2)
    with db.begin(world.engine) as conn:
        accounting.post(conn, world.school, [entry], world.now)
    assert named(world) == [(compare.TWO_ENTRIES, "line-1", 2, 8500, 17000)]


def test_mistakes_that_cancel_are_two(world: World) -> None:
    send(world)
    update = "UPDATE posting SET amount_minor = amount_minor {} WHERE line = 2 AND entry_id = " + ENTRY
    second = update.replace("min(seq)", "min(seq) + 1")
    edit(
        world.engine,
        update.format("+ 100", line=world.line.device),
        second.format("- 100", line=world.line.device),
    )
    found = told(world)
    assert found.journal_minor == found.books_minor
    assert (len(found.items), found.difference_minor) == (2, 200)


def test_lost_record_of_a_gate_is_a_gap(world: World) -> None:
    send(world)
    edit(world.engine, f"DELETE FROM record WHERE device_id = {world.gate.device} AND seq = 2")
    assert named(world) == [(compare.GAP, "gate-1", 2, 2, 1)]


def test_day_without_its_end_is_named(world: World) -> None:
    send(world)
    edit(world.engine, f"DELETE FROM record WHERE device_id = {world.gate.device} AND type = 11")
    assert told(world).awaited[0].label == "gate-1"
    edit(world.engine, f"UPDATE record SET day = {DAY + 1} WHERE device_id = {world.gate.device} AND seq = 2")
    edit(world.engine, f"UPDATE device_epoch SET next_seq = 3 WHERE device_id = {world.gate.device}")
    assert named(world) == [(compare.NOT_CLOSED, "gate-1", 1, 0, 1)]


def test_bank_and_books_by_reference(world: World) -> None:
    send(world)
    with db.begin(world.engine) as conn:
        statements.keep(conn, world.school, statements.BANK, [statements.Line("X9", DAY, 700)], "b.csv", 5)
    edit(
        world.engine,
        "DELETE FROM statement_line WHERE key = 'T0'",
        "UPDATE statement_line SET amount_minor = 5 WHERE key = 'T1'",
    )
    found = {it.reference: (it.kind, it.left, it.right) for it in told(world).items}
    assert found == {
        "T0": (compare.NO_BANK_LINE, 100_000, 0),
        "T1": (compare.BANK_AMOUNT, 100_000, 5),
        "X9": (compare.BANK_NO_ENTRY, 0, 700),
    }


def test_lost_topup_shows_by_the_bank(world: World) -> None:
    send(world)
    key = "(SELECT entry_id FROM entry WHERE external_key = 'bank:T2')"
    edit(
        world.engine,
        f"DELETE FROM posting WHERE entry_id = {key}",
        "DELETE FROM entry WHERE external_key = 'bank:T2'",
    )
    found = told(world)
    assert [(it.kind, it.reference) for it in found.items] == [(compare.BANK_NO_ENTRY, "T2")]
    assert found.topups.bank_minor - found.topups.books_minor == 100_000


def test_line_of_another_day_is_no_difference(world: World) -> None:
    send(world)
    edit(world.engine, f"UPDATE statement_line SET day = {DAY + 1} WHERE key = 'T3'")
    assert (told(world).topups.number, told(world).items) == (3, [])
    assert told(world, DAY + 1).topups.bank_minor == 100_000
    assert told(world, DAY + 1).items == []


def pay_back(world: World, amount: int, key: str = "R1:1") -> None:
    """A part of a payout in the books."""
    lines = ((accounting.purse(world.pupils[0]), -amount), (accounting.BANK, amount))
    with db.begin(world.engine) as conn:
        accounting.post(conn, world.school, [accounting.Entry(f"payout:{key}", "payout", NOON, lines)], NOON)


def bank_says(world: World, *lines: tuple[str, int, int]) -> None:
    """(reference, day, minor units)"""
    with db.begin(world.engine) as conn:
        kept = [statements.Line(*line) for line in lines]
        statements.keep(conn, world.school, statements.BANK, kept, "b.csv", 5)


def test_payouts_balance_by_their_key(world: World) -> None:
    send(world)
    pay_back(world, 5_000)
    pay_back(world, 2_000, "R1:2")
    assert [(it.kind, it.reference, it.left, it.right) for it in told(world).items] == [
        (compare.NO_BANK_LINE, "R1:1", -5_000, 0),
        (compare.NO_BANK_LINE, "R1:2", -2_000, 0),
    ]
    # The second part is on the bank's statement of the next day.
    bank_says(world, ("R1:1", DAY, -5_000), ("R1:2", DAY + 1, -2_000))
    found, after = told(world), told(world, DAY + 1)
    assert (found.state, found.difference_minor, found.payouts) == (service.AGREES, 0, (1, -5_000, -5_000))
    assert (after.items, after.payouts) == ([], (1, -2_000, -2_000))
    assert found.topups.books_minor == found.topups.bank_minor == 400_000


def test_a_payout_that_only_one_side_has_is_named(world: World) -> None:
    send(world)
    pay_back(world, 5_000)
    pay_back(world, 100, "R3:1")
    # Another sum, one that the books have not, and a payment in under the key of a payout.
    bank_says(world, ("R1:1", DAY, -6_000), ("R2:1", DAY, -700), ("R3:1", DAY, 100))
    found = told(world)
    assert sorted((it.kind, it.reference, it.left, it.right) for it in found.items) == sorted(
        [
            (compare.BANK_AMOUNT, "R1:1", -5_000, -6_000),
            (compare.BANK_NO_ENTRY, "R2:1", 0, -700),
            (compare.BANK_NO_ENTRY, "R3:1", 0, 100),
            (compare.NO_BANK_LINE, "R3:1", -100, 0),
        ]
    )
    assert (found.state, found.difference_minor) == (service.DIFFERS, 1_000 + 700 + 100 + 100)


def test_caterer_is_compared_when_all_are_in(world: World) -> None:
    day = service.day_text(DAY)
    send(world, world.other)
    total = 2 * 2 * (8500 + 14000) - 2 * 14000
    assert say(world, f"{day};7;{(total + 100) / 100:.2f}") == []
    assert told(world).items == []
    close(world.other)
    world.handle(*world.other.all_recs())
    found = [(it.kind, it.left, it.right) for it in told(world).items]
    assert found == [(compare.CATERER_TOTAL, total, total + 100), (compare.CATERER_PORTIONS, 6, 7)]
    assert told(world).difference_minor == 100


def test_caterer_who_agrees_changes_nothing(world: World) -> None:
    send(world)
    total = told(world).books_minor
    day = service.day_text(DAY)
    for _ in range(2):
        assert say(world, f"{day};6;{total / 100:.2f}") == []
    assert told(world).state == service.AGREES
    assert say(world, f"{day};6;1.00") == ["date was given before with another amount"]
    assert told(world).state == service.AGREES


def test_correction_stands_beside_the_journal(world: World) -> None:
    send(world)
    before = told(world).books_minor
    lines = ((accounting.CATERER, -8500), (accounting.purse(world.pupils[0]), 8500))
    entry = accounting.Entry("office:1", "reversal", world.now, lines, reason="served twice", corrects="x")
    with db.begin(world.engine) as conn:
        number = accounting.post(conn, world.school, [entry], world.now)[0].entry_id
    found = told(world)
    assert (found.corrections, found.items) == ([(number, -8500)], [])
    assert found.journal_minor == found.books_minor == before - 8500


def test_losing_branch_is_suspense_and_no_difference(world: World) -> None:
    send(world)
    source = (world.line.device, 1, 2)
    lines = ((accounting.CLAIM, -500), ("suspense:fork", 500))
    entry = accounting.Entry(f"fork:{hex8(source[0])}:1:2:aa", "sale", world.now, lines, *source, "branch")
    with db.begin(world.engine) as conn:
        accounting.post(conn, world.school, [entry], world.now)
    found = told(world)
    assert (found.items, found.branch_minor, found.suspense_minor) == ([], 500, 1734)


def test_usual_day_is_the_last_one(world: World) -> None:
    send(world)
    with db.reading(world.engine) as conn:
        assert service.usual_day(conn, world.school, DAY + 3) == DAY
        assert service.usual_day(conn, world.school, DAY) == DAY


def test_a_day_costs_no_history(world: World) -> None:
    send(world)
    if world.engine.dialect.name != "sqlite":
        return
    plans = {
        store.MONEY: (world.school, DAY),
        store.COUNTS: (world.school, DAY),
        store.OF_RECORDS: (world.school, DAY),
        store.OTHERS: (world.school, 1, 2),
    }
    with world.engine.connect() as conn:
        for statement, values in plans.items():
            plan = conn.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, values).all()
            steps = [row[3] for row in plan]
            assert not [step for step in steps if step.startswith("SCAN")], steps
            assert "record_of_day" in steps[0] or "entry_by_time" in steps[0], steps
            assert not [step for step in steps[1:] if "(school_id=?)" in step], steps


def test_topup_keeps_what_the_bank_said(world: World) -> None:
    with world.engine.connect() as conn:
        rows = conn.execute(text("SELECT source, key, day, amount_minor FROM statement_line ORDER BY key"))
        assert tuple(rows.first() or ()) == ("bank", "T0", DAY, 100_000)
