"""`klasskart card`: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from reader_host.desk.command import card

VECTORS = Path("protocols/vectors/card-crypto.json")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(card, list(arguments))


def test_number_is_shown_with_its_warnings():
    told = json.loads(run("parse", "111,27706", "--json").output)
    assert told["canonical"] == "w26:6F6C3A"
    assert told["weak"]
    assert told["warnings"] == ["lossy", "clonable"]
    assert "two cards can have it" in run("parse", "111,27706").output


def test_ambiguous_number_asks_for_its_format():
    result = run("parse", "0040856634", "--json")
    assert result.exit_code == 1
    assert "em-32" in json.loads(result.output)["formats"]
    assert "--format hex or" in run("parse", "0040856634").stderr
    assert json.loads(run("parse", "0040856634", "--format", "em-32", "--json").output)["canonical"] == (
        "w34:026F6C3A"
    )


def test_no_number_ends_with_1():
    result = run("parse", "27706", "--json")
    assert (result.exit_code, json.loads(result.output)["error"]) == (1, "bad_credential")
    assert run("parse", "27706").exit_code == 1


def test_vectors_are_printed_with_the_names_of_what_is_expected():
    made = json.loads(run("vectors", str(VECTORS), "--json").output)
    listed = json.loads(VECTORS.read_text())["vectors"]
    assert [each["computed"] for each in made] == [each["expected"] for each in listed]
    assert [set(each) for each in made] == [{"group", "name", "computed"}] * len(listed)
    assert run("vectors", str(VECTORS)).exit_code == 0


def test_wrong_expectation_changes_no_answer(tmp_path):
    whole = json.loads(VECTORS.read_text())
    right = whole["vectors"][0]["expected"]["mac"]
    whole["vectors"][0]["expected"]["mac"] = None
    file = tmp_path / "vectors.json"
    file.write_text(json.dumps(whole))
    assert json.loads(run("vectors", str(file), "--json").output)[0]["computed"] == {"mac": right}
    compared = run("vectors", str(file))
    assert compared.exit_code == 1
    assert "AES-CMAC len=0: differs in mac" in compared.stderr


def test_odd_files_are_named(tmp_path):
    file = tmp_path / "vectors.json"
    file.write_text("[]")
    assert run("vectors", str(file)).exit_code == 2
    whole = {"vectors": [{"group": "RFC4493", "name": "odd", "input": {"x": ""}, "expected": {"mac": ""}}]}
    file.write_text(json.dumps(whole))
    result = run("vectors", str(file), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [{"group": "RFC4493", "name": "odd", "computed": {}}]
    assert "odd: card_kind" in result.stderr
