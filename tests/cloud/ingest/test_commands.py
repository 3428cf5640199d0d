"""Commands and confirmed days: sent while the device is online, and again, until the record or the end."""

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.devices import service as devices
from protocols import errors
from protocols.ledger import record
from protocols.wire import envelope, messages
from tests.cloud.ingest.peer import DAY, World

ASKED = devices.Asked("Petrova", "a pupil without a card")


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path)
    yield made
    made.check_books()


def ask(world: World, label: str = "gate-1", kind: str = "open", direction: str = "out") -> int:
    with db.begin(world.engine) as conn:
        return devices.command(conn, world.school, label, kind, ASKED, world.now, direction)


def connect(world: World) -> None:
    world.handle(world.gate.state(True), world.gate.hello(1, 1))


def sent(world: World):
    return world.gate.told(world.ingest.poll(), envelope.COMMAND)


def rows(world: World):
    with db.reading(world.engine) as conn:
        return devices.commands_of(conn, world.school, world.gate.device)


def obey(world: World, number: int) -> int:
    seq = world.gate.write(record.NOTE, record.NOTE_COMMAND, amount=1 + record.COMMAND_ARGUMENT, aux=number)
    world.gate.write(record.PASS, record.PASS_OPENED | record.PASS_OUT)
    world.gate.write(record.PASS, record.PASS_TURNED | record.PASS_OUT, aux=seq + 1)
    world.handle(*world.gate.all_recs(seq))
    return seq


def test_command_is_sent_for_this_boot_and_settled_by_its_record(world: World) -> None:
    connect(world)
    world.now += 100
    number = ask(world)
    (told,) = sent(world)
    assert told == messages.Command(number, messages.COMMAND_OPEN, 1, 130_000, world.gate.nonce)
    seq = obey(world, number)
    (row,) = rows(world)
    assert (row.who, row.reason, row.outcome, row.seq) == (*ASKED, "obeyed", seq)
    world.now += 10
    assert sent(world) == []
    with db.reading(world.engine) as conn:
        assert bulk.select(conn, "SELECT count(*) FROM passage")[0][0] == 0
        assert bulk.select(conn, "SELECT count(*) FROM outbox")[0][0] == 0


def test_command_waits_for_its_device_and_is_sent_again(world: World) -> None:
    ask(world)
    assert sent(world) == []
    connect(world)
    first = sent(world)
    assert len(first) == 1
    assert sent(world) == []
    world.now += 3
    assert sent(world) == first
    world.gate.nonce = b"\x02" * 8
    connect(world)
    world.now += 3
    (again,) = sent(world)
    assert (again.boot_nonce, again.expiry_ms) == (world.gate.nonce, 27_000)


def test_command_is_given_up_when_its_time_is_over(world: World) -> None:
    connect(world)
    number = ask(world)
    assert len(sent(world)) == 1
    world.now += devices.LIFE_S
    assert sent(world) == []
    assert [row.outcome for row in rows(world)] == ["expired"]
    # Its record came late: it was obeyed all the same.
    obey(world, number)
    assert [row.outcome for row in rows(world)] == ["obeyed"]


def test_forgotten_command_is_kept_and_its_number_not_used_again(world: World) -> None:
    connect(world)
    obey(world, 41)
    (row,) = rows(world)
    assert (row.number, row.kind, row.argument, row.who, row.outcome) == (41, "open", 1, "", "obeyed")
    assert ask(world) == 42


def test_nothing_is_asked_of_what_cannot(world: World) -> None:
    for label, asked in (
        ("line-1", ASKED),
        ("gate-9", ASKED),
        ("gate-1", ASKED._replace(reason=" ")),
        ("gate-1", ASKED._replace(who="")),
    ):
        with pytest.raises(devices.EpochRefused), db.begin(world.engine) as conn:
            devices.command(conn, world.school, label, "open", asked, world.now)
    obey(world, 0xFFFFFFFF)
    with pytest.raises(devices.EpochRefused, match="new epoch"):
        ask(world)


def test_confirmed_day_is_told_until_its_record_came(world: World) -> None:
    with db.begin(world.engine) as conn:
        devices.confirm_day(conn, world.school, "gate-1", ASKED, world.now)
    connect(world)
    for _ in range(2):
        (told,) = world.gate.told(world.ingest.poll(), envelope.TIME)
        assert told.flags == messages.TIME_CONFIRMED
        assert world.gate.told(world.ingest.poll(), envelope.TIME) == []
        world.now += 60
    seq = world.gate.write(record.CLOCK, record.CLOCK_CONFIRMED, amount=-86400)
    world.handle(*world.gate.all_recs(seq))
    assert world.ingest.poll() == []
    (row,) = rows(world)
    assert (row.kind, row.who, row.reason, row.outcome, row.seq) == ("confirm_day", *ASKED, "obeyed", seq)


def test_sale_outside_the_calendar_waits_for_a_person(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.write(record.GRANT, 0, account, 10_000)
    seq = world.line.sell(account)
    body = record.unpack(world.line.raws.pop())._replace(day=DAY + 500)
    world.line.macs.pop()
    packed = record.pack_body(body)
    world.line.macs.append(record.next_mac(world.line.chain, world.line.macs[-1], packed))
    world.line.raws.append(record.seal(packed, world.line.macs[-1]))
    world.handle(world.line.state(True), world.line.hello(1, 1), *world.line.all_recs())
    with db.reading(world.engine) as conn:
        refusals = dict(bulk.select(conn, "SELECT seq, refusal FROM record ORDER BY seq"))
        code = (
            "SELECT a.code FROM posting p JOIN ledger_account a"
            " ON a.ledger_account_id = p.ledger_account_id WHERE p.amount_minor > 0"
        )
        codes = [row[0] for row in bulk.select(conn, code)]
    assert refusals[seq] == errors.RECORD_DAY
    assert "suspense:rule" in codes
    assert not [each for each in codes if each.startswith("caterer:")]


def test_hello_of_an_earlier_boot_that_comes_late_changes_nothing(world: World) -> None:
    """Else commands and TIME would go to a boot that nobody is in."""
    gate = world.gate
    gate.write(record.BOOT, account=1)
    late = gate.hello(1, 1)
    gate.nonce = b"\x02" * 8
    gate.write(record.BOOT, account=2)
    world.handle(gate.state(True), gate.hello(1, 1), *gate.all_recs())
    world.handle(late)
    ask(world)
    (told,) = sent(world)
    assert told.boot_nonce == gate.nonce
