"""The commands: exit codes, one-line errors, rows that were not applied named by file and line."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli import cloud
from cloud.config import Config

STUDENTS = "student_id;last_name;first_name;middle_name;class;shift;status\nS1;Л;И;;1А;1;active\n"
PARENTS = "student_id;relation;name;phone\nS1;мать;Л А;+7 9161234567\n"
CARDS = "student_id;credential\nS1;a:04C716D07C564B\n"
MENU = "meal;from;to;price_rub\nlunch;11:00;15:30;140.00\n"
TOPUPS = "student_id;amount_rub;bank_ref\nS1;500.00;T1\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = Config(tmp_path / "data", broker_username="ingest", broker_password="hush-hush", web_port=0)
    made.write()
    return made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "school"
    folder.mkdir()
    named = {"students": STUDENTS, "parents": PARENTS, "cards": CARDS, "menu": MENU, "topups": TOPUPS}
    for name, text in named.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def run(config: Config, *words: str | Path) -> Result:
    return CliRunner().invoke(cloud, [*map(str, words), "--config", str(config.path)])


def good(config: Config, *words: str | Path) -> str:
    done = run(config, *words)
    assert done.exit_code == 0, done.output
    return done.output.strip()


@pytest.mark.parametrize("command", ["ingest", "worker", "serve"])
def test_process_refuses_an_older_schema(config: Config, command: str) -> None:
    done = run(config, command)
    assert done.exit_code == 2
    assert "run klasskart cloud migrate" in done.output


def test_missing_settings_are_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(cloud, ["migrate", "--config", str(tmp_path)])
    assert done.exit_code == 2
    assert len(done.output.strip().splitlines()) == 1


def test_school_is_made_imported_and_checked(config: Config, files: Path, tmp_path: Path) -> None:
    good(config, "migrate")
    school = good(config, "create-school", "School 1")
    provision = tmp_path / "line-1.json"
    device = good(config, "add-device", "line-1", "canteen", "--out", provision)
    told = json.loads(provision.read_text(encoding="utf-8"))
    assert (f"{told['school']:08x}", f"{told['device']:08x}") == (school, device)
    assert stat.S_IMODE(provision.stat().st_mode) == 0o600
    assert "5 rows good" in good(config, "import", files)
    assert "0 of them new" in good(config, "import", files)
    assert good(config, "publish-tables", "--school", school).startswith("table ")
    assert good(config, "check-books") == "sum 0, 0 balances differ, 0 entries refused"
    rights = Path(good(config, "broker-config")).parent / "rights"
    assert f"kk/1/{school}/{device}/up" in rights.read_text(encoding="ascii")


def test_bad_row_is_named_and_the_rest_applied(config: Config, files: Path) -> None:
    good(config, "migrate")
    good(config, "create-school", "School 1")
    (files / "topups.csv").write_text(TOPUPS + "S1;-5.00;T2\nS9;5.00;T3\n", encoding="utf-8")
    done = run(config, "import", files)
    assert done.exit_code == 1
    assert "topups.csv:3: amount_rub is not more than 0" in done.output
    assert "topups.csv:4: unknown pupil" in done.output
    told = json.loads(run(config, "import", files, "--json").stdout)
    assert (told["rows_applied"], told["rows_changed"], len(told["problems"])) == (5, 0, 2)


def test_strict_import_applies_nothing(config: Config, files: Path) -> None:
    good(config, "migrate")
    good(config, "create-school", "School 1")
    (files / "topups.csv").write_text(TOPUPS + "S1;-5.00;T2\n", encoding="utf-8")
    done = run(config, "import", files, "--strict")
    assert done.exit_code == 1
    assert "0 rows good" in done.output
    (files / "topups.csv").write_text(TOPUPS, encoding="utf-8")
    assert "5 of them new" in good(config, "import", files)


def test_school_must_be_named_among_several(config: Config) -> None:
    good(config, "migrate")
    assert run(config, "check-books").exit_code == 2
    names = {good(config, "create-school", name) for name in ("one", "two")}
    done = run(config, "check-books")
    assert done.exit_code == 2
    assert all(name in done.output for name in names)
    good(config, "check-books", "--school", names.pop())
    assert run(config, "check-books", "--school", "zz").exit_code == 2


def test_taken_label_is_one_line(config: Config, tmp_path: Path) -> None:
    good(config, "migrate")
    good(config, "create-school", "one")
    good(config, "add-device", "gate-1", "gate", "--out", tmp_path / "a.json")
    done = run(config, "add-device", "gate-1", "gate", "--out", tmp_path / "b.json")
    assert done.exit_code == 2
    assert "label is empty or taken" in done.output
    assert not (tmp_path / "b.json").exists()


def test_broker_needs_a_login(config: Config) -> None:
    good(config, "migrate")
    config.broker_password = ""
    config.write()
    done = run(config, "broker-config")
    assert done.exit_code == 2
    assert "ingest needs a login" in done.output
