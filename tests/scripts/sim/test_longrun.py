"""The long run: the same sums from the same first seed, an end at the first failure, a summary at Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from scripts.sim import faults, longrun, runs
from scripts.sim.command import sim
from scripts.sim.longrun import Plan, Sums
from scripts.sim.simulation import Options

ROOT = Path(__file__).resolve().parents[3]
PLAN = Plan(7, 60, 1, steps=700, fault_gap=120, kinds=faults.ready())
KEYS = {
    "command", "commit", "is_whole", "seed_first", "seeds", "steps", "sales", "sales_minor", "faults_total",
    "pairs_covered", "pairs_total", "violations", "kopecks_unexplained", "destroyed_records",
    "terminal_hours", "steps_per_second", "sales_per_second", "minutes", "trace", "faults", "schools",
}  # fmt: skip
TIMES = ("steps_per_second", "sales_per_second", "minutes", "command", "commit")


def test_sums_do_not_depend_on_processes():
    one, two = (longrun.run(PLAN._replace(jobs=jobs), lambda sums: None).summary() for jobs in (1, 2))
    assert set(one) == KEYS
    assert one["is_whole"]
    assert one["sales"] >= PLAN.sales
    for name in TIMES:
        one.pop(name)
        two.pop(name)
    assert one == two


def test_schools_follow_from_the_seed():
    schools = [PLAN.options(seed)[2:4] for seed in range(40)]
    assert schools == [PLAN.options(seed)[2:4] for seed in range(40)]
    assert len(set(schools)) > 10


def outcome(seed: int, sales: int, *, failed: bool = False) -> runs.Outcome:
    """What a run might have come to."""
    violations = [{"invariant": "I7", "text": "a kopeck", "step": 3}] if failed else []
    report = {
        "steps": 10, "sales": sales, "sales_minor": 100 * sales, "faults": {"power_cut": 1},
        "violations": violations, "kopecks_unexplained": 1 if failed else 0, "destroyed_records": ["a 00"],
        "terminal_hours": 1.5, "steps_per_second": 100, "trace": f"{seed:016x}",
    }  # fmt: skip
    return runs.Outcome(Options(seed), report, frozenset({("power_cut", "power_cut")}))


def test_seeds_count_in_their_order_up_to_the_first_failure():
    sums = Sums(PLAN._replace(sales=1_000))
    done = {8: outcome(8, 5), 9: outcome(9, 5, failed=True), 10: outcome(10, 5)}
    assert longrun._count(sums, done, 7, lambda sums: None) == 7
    assert sums.seeds == 0
    done[7] = outcome(7, 5)
    longrun._count(sums, done, 7, lambda sums: None)
    whole = sums.summary()
    assert (whole["seeds"], whole["sales"], whole["kopecks_unexplained"]) == (3, 15, 1)
    assert whole["violations"] == [{"seed": 9, "invariant": "I7", "text": "a kopeck", "step": 3}]
    assert not whole["is_whole"]
    assert [each.options.seed for each in sums.failed] == [9]


def test_run_that_keeps_going_counts_every_failure():
    sums = Sums(PLAN._replace(sales=20, keeps_going=True))
    done = {seed: outcome(seed, 5, failed=seed in (8, 9)) for seed in range(7, 12)}
    longrun._count(sums, done, 7, lambda sums: None)
    whole = sums.summary()
    assert (whole["seeds"], whole["sales"], whole["kopecks_unexplained"]) == (4, 20, 2)
    assert [each["seed"] for each in whole["violations"]] == [8, 9]
    assert whole["is_whole"]
    assert whole["command"].endswith(" --keep-going")


def test_failure_ends_the_command_with_a_trace(tmp_path, monkeypatch):
    def fails(plan: Plan, told: longrun.Told) -> Sums:
        sums = Sums(plan)
        sums.add(runs.run(Options(3, 1_500, faults=faults.ready()), "sells_without_rights"))
        told(sums)
        return sums

    monkeypatch.setattr(longrun, "run", fails)
    monkeypatch.setattr("scripts.sim.command.TRACES", tmp_path)
    found = CliRunner().invoke(sim, ["--sales", "10", "--seed", "3", "--no-shrink"])
    assert found.exit_code == 1
    assert f"replay: klasskart sim --replay {tmp_path / 'seed-3.json'}" in found.output
    assert runs.load(tmp_path / "seed-3.json")[0].seed == 3


def test_command_writes_json_and_page(tmp_path):
    path = tmp_path / "evidence" / "run.json"
    found = CliRunner().invoke(
        sim, ["--sales", "20", "--seed", "7", "--steps", "600", "--summary", str(path), "--json"]
    )
    assert found.exit_code == 0
    whole = json.loads(path.read_text())
    assert whole["command"].startswith("klasskart sim --seed 7 --sales 20 --jobs 1 --steps 600")
    assert json.loads(found.stdout)["trace"] == whole["trace"]
    assert f"| sales | {whole['sales']} |" in path.with_suffix(".md").read_text()


def test_interrupted_run_leaves_its_summary(tmp_path):
    path = tmp_path / "run.json"
    # Without faults: what is looked at is how it ends, and nothing else may end it.
    line = [sys.executable, "-m", "scripts.klasskart", "sim", "--sales", "1000000", "--steps", "600"]
    line += ["--faults", "none", "--seed", "1"]
    started = subprocess.Popen(
        [*line, "--summary", str(path)], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert started.stderr is not None
    assert b"from seed 1" in started.stderr.readline()
    assert b" 1 seeds," in started.stderr.readline()
    os.killpg(started.pid, signal.SIGINT)
    _out, _errors = started.communicate(timeout=60)
    assert started.returncode == 130
    whole = json.loads(path.read_text())
    assert not whole["is_whole"]
    assert whole["violations"] == []
    assert whole["seeds"] > 0
