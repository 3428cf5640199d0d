"""Drills of the backup horizon: a machine that comes back with a month-old copy of everything."""

import pytest

from protocols.ids import hex8
from protocols.ledger import record
from protocols.ledger.journal import HORIZON_DAYS
from scripts.sim.simulation import Options, Simulation

DAY_S = 86_400


@pytest.fixture
def school(request):
    """A school with one line, no faults, from its first morning on; the parameter: sectors of a ring."""
    sim = Simulation(Options(seed=36, terminals=2, accounts=8, sectors=request.param, faults=(), plan=()))
    sim.build()
    yield sim
    sim.cloud.close()


def live(sim) -> None:
    """A morning of people who come and eat."""
    until = sim.heap.wall_s + DAY_S // 8
    while sim.heap.wall_s < until:
        sim.heap.step()
        sim.steps += 1


def rest(sim, days: int) -> None:
    """So many days of holidays."""
    sim.heap.skip(days * DAY_S)


def sold(sim) -> tuple:
    """(the line, its sales by sequence number)."""
    line = next(terminal for terminal in sim.terminals if not terminal.is_gate)
    return line, {item.seq: item for item in map(record.unpack, line.journal) if item.type == record.SALE}


def in_the_cloud(sim, line) -> set[int]:
    """Sequence numbers of the sales that the cloud has of a line."""
    statement = "SELECT seq FROM record WHERE device_id = ? AND type = ?"
    return {row[0] for row in sim.cloud.select(statement, (line.device, record.SALE))}


def alarms(sim) -> set[str]:
    """What a person is told of journals that begin too late, by kind and device."""
    rows = sim.cloud.select("SELECT detail FROM alarm WHERE kind = 'journal_begins_later'")
    return {row[0].partition(",")[0] for row in rows}


def come_back(sim, backup) -> None:
    """The whole machine, archive and all, is set back to a backup."""
    sim.backups._kept = [backup]
    sim.backups.restore(0, announced=True, head_lost=True, whole_machine=True)


@pytest.mark.parametrize("school", [16], indirect=True)
def test_a_copy_within_the_horizon_brings_every_sale_back(school):
    first = school.backups._kept[0]
    for _ in range(4):
        live(school)
        rest(school, 7)
    live(school)
    line, sales = sold(school)
    days = [item.day for item in sales.values()]
    assert 20 < max(days) - min(days) < HORIZON_DAYS
    come_back(school, first)
    # The copy is older than every sale.
    assert not in_the_cloud(school, line)
    school.heal()
    # A gate keeps what is acknowledged for nobody: no money hangs on it.
    assert [each for each in school.violations if not each.text.startswith("gate-1: ")] == []
    assert school.suspects.destroyed == []
    assert set(sold(school)[1]) == in_the_cloud(school, line)
    assert not any(hex8(line.device) in each for each in alarms(school))


@pytest.mark.parametrize("school", [5], indirect=True)
def test_what_a_ring_has_overwritten_is_older_than_the_horizon_and_a_person_is_told(school):
    first = school.backups._kept[0]
    line, _sales = sold(school)
    live(school)
    rest(school, HORIZON_DAYS)
    while line.controller.journal.oldest_seq == 1:
        live(school)
    _line, sales = sold(school)
    newest = max(item.day for item in sales.values())
    gone = {seq for seq in sales if seq < line.controller.journal.oldest_seq}
    assert gone
    assert all(sales[seq].day + HORIZON_DAYS <= newest for seq in gone)
    come_back(school, first)
    live(school)
    assert not in_the_cloud(school, line)
    assert f"device {hex8(line.device)}" in alarms(school)
    assert school.cloud.in_recovery
    for terminal in list(school.terminals):
        school.suspects.retire(terminal)
        school.suspects.replace(terminal)
    school.cloud.publish_tables()
    live(school)
    assert not school.cloud.in_recovery
