"""The simulator: same seed, same run; a sound product passes; a broken run is shrunk and replayed."""

import secrets
import threading
from pathlib import Path

import pytest

from scripts.sim import faults, runs
from scripts.sim.simulation import Options

SHORT = Options(11, 900, terminals=5, accounts=16, faults=faults.ready())


def test_same_seed_gives_same_trace():
    one, other = runs.run(SHORT), runs.run(SHORT)
    for report in (one.report, other.report):
        report.pop("steps_per_second")
    assert one.report == other.report
    assert one.report["trace"] != runs.run(SHORT._replace(seed=12)).report["trace"]


def test_no_thread_takes_part(monkeypatch):
    """A thread's turn depends on the machine, and so would the run."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    assert runs.run(SHORT).report["violations"] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_school_under_faults_keeps_all_invariants(seed):
    outcome = runs.run(Options(seed, 2_500, faults=faults.ready()))
    assert outcome.report["violations"] == []
    assert outcome.report["kopecks_unexplained"] == 0
    assert outcome.report["sales"] > 20


def test_school_without_faults_sells():
    report = runs.run(Options(5, 2_000)).report
    assert report["violations"] == []
    assert report["faults"] == {}
    assert report["sales"] > 20


def test_failing_run_shrinks_and_replays(tmp_path):
    outcome = runs.run(Options(3, 1_500, faults=faults.ready()), "sells_without_rights")
    assert outcome.failed
    small = runs.shrink(outcome, "sells_without_rights", tries=8)
    assert small.invariant == outcome.invariant
    assert len(small.options.plan or ()) <= len(runs.with_plan(outcome).options.plan or ())
    runs.save(small, tmp_path / "trace.json", "sells_without_rights")
    options, mutant = runs.load(tmp_path / "trace.json")
    assert runs.run(options, mutant).report["violations"] == small.report["violations"]


def test_ordered_pairs_are_all_struck():
    names = ("power_cut", "kill_before_commit", "link_drop", "hostile_grant")
    covered = set()
    for part, options in runs.pair_runs(names, 1):
        outcome = runs.run(options)
        assert outcome.report["violations"] == []
        covered |= set(part) & outcome.pairs
    assert len(covered) == len(names) ** 2


def test_processes_change_no_outcome():
    every = [SHORT._replace(seed=seed, steps=300) for seed in (1, 2)]
    alone, together = list(runs.run_all(every)), list(runs.run_all(every, 2))
    traces = [[outcome.report["trace"] for outcome in outcomes] for outcomes in (alone, together)]
    assert traces[0] == traces[1]


def test_fresh_pairs_of_faults_keep_all_invariants():
    seed = secrets.randbelow(1 << 31)
    parts = list(runs.pair_runs(faults.ready(), seed))[:3]
    for _part, options in parts:
        outcome = runs.run(options)
        if outcome.failed:
            path = Path("build/sim") / f"pairs-{options.seed}.json"
            runs.save(outcome, path)
            pytest.fail(f"klasskart sim --replay {path}: {outcome.report['violations'][0]}")


def test_fresh_seed_keeps_all_invariants():
    seed = secrets.randbelow(1 << 31)
    outcome = runs.run(Options(seed, 2_500, faults=faults.ready()))
    if outcome.failed:
        path = Path("build/sim") / f"seed-{seed}.json"
        runs.save(outcome, path)
        pytest.fail(f"klasskart sim --seed {seed} --steps 2500, or --replay {path}")


@pytest.mark.parametrize(
    "name", ["restore_onto_a_full_disk", "credit_of_a_released_till", "credit_repaid_before_a_restore"]
)
def test_run_that_once_failed_is_sound(name):
    """A parent on a full disk is no parent yet; a restore forgets that a lost till's credit was given up."""
    options, _mutant = runs.load(Path(__file__).parent / "traces" / f"{name}.json")
    assert runs.run(options).report["violations"] == []
