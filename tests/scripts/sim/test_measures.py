"""The two benches of this room: the ring beside littlefs, and the simulator at two sizes."""

from scripts.sim import measure_journal, measure_sim


def test_ring_erases_far_less_than_littlefs():
    report = measure_journal.run(records=400, sectors=24)
    assert report.met
    assert {row.group for row in report.rows} == {measure_journal.RING, measure_journal.FILE}


def test_simulator_is_measured_at_two_sizes():
    report = measure_sim.run(steps=1_000, seed=1)
    assert len({row.group for row in report.rows}) == 2
    assert all(row.value for row in report.rows if row.name.endswith("a second"))
