"""`klasskart cards`: a file of printed numbers, keys that are never shown, desks."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud import bulk, migrations
from cloud.cards.commands import group
from cloud.config import Config
from cloud.db import begin, engine, reading
from cloud.keys import Vault
from protocols.ids import hex8
from tests.cloud.schools import add_device, add_pupils, add_school


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = Config(tmp_path / "data")
    made.write()
    store = engine(made.database_url)
    migrations.upgrade(store)
    school_id = add_school(store)
    with begin(store) as conn:
        add_pupils(conn, school_id, 4, first=1)
        bulk.run(conn, "DELETE FROM card")
        bulk.run(conn, "UPDATE pupil SET external_id = 'S' || (account_id - ?)", (0xACC00000,))
        add_device(conn, school_id, "gate-1", "gate")
    store.dispose()
    return made


def run(config: Config, *words: str | Path) -> Result:
    return CliRunner().invoke(group, [*map(str, words), "--config", str(config.path)])


def rows(config: Config, statement: str) -> list[tuple]:
    store = engine(config.database_url)
    with reading(store) as conn:
        found = [tuple(row) for row in bulk.select(conn, statement)]
    store.dispose()
    return found


def everything(config: Config) -> list:
    """All that an import could write."""
    names = ("card", "card_alias", "school", "device_table", "downlink", "alarm", "spending_right")
    return [rows(config, f"SELECT * FROM {name}") for name in names]


def told(config: Config, file: Path, *words: str) -> tuple[int, dict]:
    done = run(config, "import", file, "--json", *words)
    return done.exit_code, json.loads(done.stdout)


def write(tmp_path: Path, *lines: str, head: str = "student_id;credential") -> Path:
    path = tmp_path / "cards-of-the-school.csv"
    path.write_text("\n".join([head, *lines]), encoding="utf-8")
    return path


def test_printed_numbers_are_given_and_the_rest_is_told_by_line(config: Config, tmp_path: Path) -> None:
    file = write(
        tmp_path, "S1;004335823930", "S2;77705923", "S3;08123456", "S9;004335823931", "S3;004335823930",
        "S3;111,27706", "S3;qwerty", "S3;04:A1:B2:C3:D4:E5:F6", "S4;",
    )  # fmt: skip
    code, answer = told(config, file)
    assert code == 1
    assert (answer["applied"], answer["rows"], answer["changed"]) == (True, 3, 3)
    reasons = {each["line"]: each["reason"] for each in answer["problems"]}
    assert reasons == {
        3: "the number can be read in several ways: name one of hex, hex-back, dec, dec-back",
        4: "the number can be read in several ways: name one of hex, hex-back, dec, dec-back, em-24",
        5: "unknown pupil",
        6: "two cards for one credential, first on line 2",
        8: "credential is none: number",
        10: "credential is empty",
    }
    # A part of a number is a card too, but not beside one that may be the same.
    assert {each["line"]: each["reason"] for each in answer["warnings"]} == {
        2: "applied, but readers that leave a part of the number out cannot tell it from the card on line 7:"
        " they know neither",
        7: "applied, but only a part of the number is known, and the same part is in that of the card"
        " on line 2: no reader takes it",
    }
    said = json.dumps(answer)
    assert all(text not in said for text in ("004335823930", "77705923", "A1:B2", "27706"))
    # The same numbers, named: the random one is refused for what it is, and so is what no card has.
    named = write(
        tmp_path, "S2;77705923;dec", "S3;08123456;hex", "S4;w37:123456789;id", "S4;1;nonsense",
        head="student_id;credential;format",
    )  # fmt: skip
    code, answer = told(config, named)
    assert {each["line"]: each["reason"].split(":")[0] for each in answer["problems"]} == {
        3: "the number is a random one",
        4: "readers make such a number of a longer one, which nobody can guess",
        5: "no such format",
    }
    assert (code, answer["changed"]) == (1, 1)


def test_dry_run_says_the_same_and_writes_nothing(config: Config, tmp_path: Path) -> None:
    file = write(tmp_path, "S1;004335823930", "S2;01020304AB", "S9;01020304AC")
    before = everything(config)
    code, dry = told(config, file, "--dry-run")
    assert everything(config) == before
    assert (code, dry["applied"], dry["rows"], dry["changed"]) == (1, False, 2, 2)
    code, real = told(config, file)
    assert (real["rows"], real["changed"], real["problems"]) == (dry["rows"], dry["changed"], dry["problems"])
    after = everything(config)
    assert after != before
    assert len(after[0]) == 2
    assert told(config, file)[1]["changed"] == 0
    assert everything(config)[0] == after[0]


def test_number_of_another_pupil_moves_only_when_asked(config: Config, tmp_path: Path) -> None:
    told(config, write(tmp_path, "S1;004335823930"))
    taken = write(tmp_path, "S2;004335823930")
    before = everything(config)
    code, answer = told(config, taken)
    assert (code, [each["reason"] for each in answer["problems"]]) == (1, ["the card opens another account"])
    assert everything(config) == before
    code, answer = told(config, taken, "--move")
    assert (code, answer["changed"]) == (0, 1)
    assert [row[2] & 0xF for row in rows(config, "SELECT * FROM card")] == [2]


def test_one_format_and_other_columns(config: Config, tmp_path: Path) -> None:
    file = write(tmp_path, "17;77705923;S1", "18;77705924;S2", head="n;Номер;Ученик")
    code, answer = told(
        config, file, "--format", "dec", "--column", "Номер", "--pupil-column", "Ученик"
    )  # fmt: skip
    assert (code, answer["changed"]) == (0, 2)
    code, answer = told(config, file, "--format", "dec")
    assert (code, answer["rows"]) == (1, 0)
    assert answer["problems"][0]["reason"] == "column missing: student_id, credential"


def test_cards_that_short_readers_mix_up_are_told(config: Config, tmp_path: Path) -> None:
    file = write(tmp_path, "S1;em:01026F6C3A", "S2;em:02026F6C3A", "S3;em:0102030405")
    code, answer = told(config, file)
    assert (code, answer["changed"], answer["problems"]) == (0, 3, [])
    assert [each["line"] for each in answer["warnings"]] == [2, 3]
    shown = run(config, "import", file)
    assert "cards-of-the-school.csv:2: applied, but readers" in shown.stderr
    assert "there already" in shown.stdout


def test_dry_run_lists_parts_of_two_cards_by_line(config: Config, tmp_path: Path) -> None:
    file = write(
        tmp_path, "S1;07302202;em-24", "S2;0040856634;em-32", "S3;111,27707;em-3-5", "S4;00623,27708;em-5-5",
        "S4;111,27706;em-3-5", head="student_id;credential;format",
    )  # fmt: skip
    for options in (("--dry-run",), ()):
        code, answer = told(config, file, *options)
        assert (code, answer["rows"], answer["changed"]) == (1, 4, 4)
        assert [(each["line"], each["reason"]) for each in answer["problems"]] == [
            (6, "two cards for one credential, first on line 2")
        ]
        assert [(each["line"], each["reason"].split("card on ")[1]) for each in answer["warnings"]] == [
            (2, "line 3: no reader takes it"),
            (3, "line 2: no reader takes it"),
        ]


def test_card_until_a_day_comes_with_its_kind(config: Config, tmp_path: Path) -> None:
    file = write(
        tmp_path, "S1;em:01026F6C3A;temporary;2026-12-31", "S2;em:01026F6C3B;fob;", "S3;em:01026F6C3C;;31.12",
        "S3;em:01026F6C3D;temporary;", head="student_id;credential;kind;until",
    )  # fmt: skip
    _code, answer = told(config, file)
    assert answer["changed"] == 2
    assert [each["line"] for each in answer["problems"]] == [4, 5]
    assert sorted(rows(config, "SELECT kind, until_day FROM card")) == [("fob", None), ("temporary", 20818)]


def test_keys_are_listed_rotated_and_never_shown(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "desk.json"
    assert run(config, "desk", "add", "desk-1", "--out", out).exit_code == 0
    words = ("keys rotate gate", "keys retire gate 1", "keys list", "keys list --json", "desk list")
    said = [run(config, *each.split()) for each in words]
    assert [done.exit_code for done in said] == [0] * 5
    states = {(each["role"], each["version"]): each["is_retired"] for each in json.loads(said[3].stdout)}
    assert (states["gate", 1], states["gate", 2], states["canteen", 1]) == (True, False, False)
    again = tmp_path / "again.json"
    assert run(config, "desk", "file", "--out", again).exit_code == 0
    written = [json.loads(path.read_text()) for path in (out, again)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (out, again)] == [0o600] * 2
    assert "token" in written[0]
    assert "token" not in written[1]
    spoken = "".join(done.output for done in said)
    for file in written:
        assert all(one["key"] not in spoken for one in file["masters"])
    assert len(written[1]["masters"]) == len(written[0]["masters"]) + 1
    (school,) = [row[0] for row in rows(config, "SELECT school_id FROM school")]
    assert written[0]["school"] == hex8(school)
    assert written[0]["reference_key"] == Vault(config.keys_dir).reference_key(school).hex()


def test_limit_of_weak_cards_reaches_the_settings(config: Config) -> None:
    before = rows(config, "SELECT settings_version FROM school")[0][0]
    done = run(config, "weak-limit", "150.00")
    assert (done.exit_code, done.stdout.strip()) == (0, "weak cards 150.00 a day on each line")
    kept, version = rows(config, "SELECT settings, settings_version FROM school")[0]
    assert json.loads(kept)["devices"]["money"]["weak_day_minor"] == 15_000
    assert version == before + 1
    for wrong in ("1.005", "much", "21474836.48"):
        assert run(config, "weak-limit", wrong).exit_code == 2
    assert rows(config, "SELECT settings_version FROM school")[0][0] == version


def test_desk_that_was_revoked_can_be_made_anew(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "desk.json"
    assert run(config, "desk", "add", "desk-1", "--out", out).exit_code == 0
    assert run(config, "desk", "add", "desk-1", "--out", out).exit_code == 2
    assert run(config, "desk", "revoke", "desk-1").exit_code == 0
    assert run(config, "desk", "revoke", "desk-1").exit_code == 2
    assert run(config, "desk", "add", "desk-1", "--out", out).exit_code == 0


@pytest.mark.parametrize("words", [("keys", "retire", "gate", "1"), ("keys", "retire", "gate", "9")])
def test_what_cannot_be_is_one_line(config: Config, words: tuple[str, ...]) -> None:
    done = run(config, *words)
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
