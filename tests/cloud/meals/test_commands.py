"""`klasskart goods` and `klasskart menu` over a data folder: what they say, change, and leave alone."""

import json

import pytest
from click.testing import CliRunner

from cloud import bulk, db, migrations
from cloud.config import Config
from cloud.meals.commands import goods, menu
from tests.cloud.meals.test_goods_file import HEAD, USUAL
from tests.cloud.schools import add_goods, add_school


@pytest.fixture
def folder(tmp_path):
    config = Config(data_dir=tmp_path)
    store = db.engine(config.database_url)
    migrations.upgrade(store)
    school_id = add_school(store)
    with db.begin(store) as conn:
        add_goods(conn, school_id, {1: 8500})
    store.dispose()
    (tmp_path / "cloud.toml").write_text("", encoding="utf-8")
    return tmp_path


def run(group, folder, *words):
    done = CliRunner().invoke(group, [*words, "--config", str(folder)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.exit_code, done.output


def file(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def listed(folder):
    rows = json.loads(run(goods, folder, "list", "--day", "2026-09-01", "--json")[1])
    return {row["code"] or row["name"]: row["state"] for row in rows}


def version(folder):
    store = db.engine(Config(data_dir=folder).database_url)
    with db.reading(store) as conn:
        found = bulk.select(conn, "SELECT settings_version FROM school")[0][0]
    store.dispose()
    return found


def test_goods_are_taken_written_and_listed(folder):
    path = file(folder, "goods.csv", USUAL)
    assert run(goods, folder, "import", path, "--dry-run") == (0, "3 rows good, 3 would be new or changed\n")
    assert listed(folder) == {"good 1": "not in the catalogue"}
    assert version(folder) == 0
    assert run(goods, folder, "import", path) == (0, "3 rows good, 3 are new or changed\n")
    assert version(folder) == 1
    assert listed(folder) == {"101": "sold", "301": "sold", "L1": "sold", "good 1": "not in the catalogue"}
    assert run(goods, folder, "export", str(folder / "out.csv"))[0] == 0
    assert run(goods, folder, "import", str(folder / "out.csv"))[1] == "3 rows good, 0 are new or changed\n"
    assert version(folder) == 1


def test_bad_file_changes_nothing_and_ends_with_one(folder):
    path = file(folder, "goods.csv", USUAL + "9;Суп;dish;;;;;;2026-09-01=85.005;П;2026-08-28\n")
    code, said = run(goods, folder, "import", path)
    assert code == 1
    assert "goods.csv:5: prices have an amount that is none such as 85.00" in said
    assert listed(folder) == {"good 1": "not in the catalogue"}
    code, said = run(goods, folder, "import", path, "--json")
    assert (code, json.loads(said)["applied"]) == (1, False)


def test_checks_name_the_lines_that_go_off_sale(folder):
    code, said = run(goods, folder, "checks", "on", "--dry-run")
    assert (code, said.splitlines()) == (0, ["    1 good 1", "1 lines off sale then"])
    assert version(folder) == 0
    assert run(goods, folder, "checks", "on")[1].endswith("1 lines off sale\n")
    assert version(folder) == 1
    assert run(goods, folder, "checks", "off")[1].endswith("1 lines on sale\n")


def test_menu_goes_from_cycle_to_workbook_and_back(folder):
    run(goods, folder, "import", file(folder, "goods.csv", USUAL))
    cycle = file(folder, "cycle.csv", "week;day;meal;code\n1;вт;обед;101\n1;вт;обед;301\n")
    assert run(menu, folder, "cycle", cycle, "--from", "2026-09-01")[0] == 0
    shown = run(menu, folder, "show", "--day", "2026-09-01", "--days", "2")[1].splitlines()
    assert [line.split() for line in shown] == [
        ["2026-09-01", "cycle"],
        ["lunch", "101", "Пюре"],
        ["lunch", "301", "Булочка"],
        ["2026-09-02", "none"],
    ]
    assert run(menu, folder, "export", str(folder), "--day", "2026-09-01")[0] == 0
    path = str(folder / "2026-09-01-sm.xlsx")
    assert run(menu, folder, "import", path)[1] == "2 rows good, 2 are new or changed\n"
    assert "2026-09-01 own" in run(menu, folder, "show", "--day", "2026-09-01", "--days", "1")[1]
    assert run(menu, folder, "import", path)[1] == "2 rows good, 0 are new or changed\n"
    assert run(menu, folder, "clear", "2026-09-01")[1] == "cleared\n"
    assert run(menu, folder, "clear", "2026-09-01")[1] == "it had no menu of its own\n"
    days = file(folder, "days.csv", "from;to;kind\n2026-09-01;2026-09-01;off\n")
    assert run(menu, folder, "days", days)[0] == 0
    assert run(menu, folder, "week", "6")[0] == 0
    shown = run(menu, folder, "show", "--day", "2026-09-01", "--days", "5")[1].splitlines()
    assert [shown[0], shown[-1]] == ["2026-09-01 no_school", "2026-09-05 none"]


def test_what_cannot_be_is_one_line_and_two(folder):
    for group, words in (
        (menu, ("export", str(folder), "--day", "2026-09-01")),
        (menu, ("import", str(folder / "none.xlsx"))),
        (goods, ("list", "--day", "soon")),
    ):
        code, said = run(group, folder, *words)
        assert (code, len(said.splitlines())) == (2, 1), words
    assert run(goods, folder, "import", file(folder, "goods.csv", HEAD[:9]))[0] == 1
