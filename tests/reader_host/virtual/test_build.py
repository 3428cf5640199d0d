"""The firmware's build: everything in, once per state of the sources, safe side by side."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from firmware import manifest
from reader_host.virtual import build as builder
from tests.fixtures.components import ROOT


def test_every_module_of_the_manifest_is_compiled(tmp_path):
    made = builder.build(tmp_path)
    for folder in manifest.OWN:
        for source in (ROOT / folder).glob("*.py"):
            compiled = (made / folder / source.name).with_suffix(".mpy")
            is_bare = source.name == "__init__.py" and folder != "firmware"
            assert compiled.exists() == (source.name not in manifest.LEFT_OUT and not is_bare), source
    assert (made / "chumicro_mqtt" / "client.mpy").stat().st_size > 0
    assert not list(made.rglob("*.py"))


def test_manifest_names_every_folder_of_the_firmware():
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "firmware").rglob("*.py")}
    assert folders <= set(manifest.OWN)


def test_same_sources_are_built_once(tmp_path, monkeypatch):
    first = builder.build(tmp_path)
    monkeypatch.setattr(builder, "_compile", lambda *_: pytest.fail("compiled again"))
    assert builder.build(tmp_path) == first


def test_builds_side_by_side_agree(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        made = set(pool.map(lambda _number: builder.build(tmp_path), range(3)))
    assert len(made) == 1
    assert [path.name for path in tmp_path.iterdir()] == [made.pop().name]


def test_refused_source_is_named(tmp_path, monkeypatch):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def broken(:\n")
    monkeypatch.setattr(builder, "_sources", lambda: [("protocols/wrong.py", wrong)])
    with pytest.raises(builder.BuildError, match=r"protocols\.wrong line 1"):
        builder.build(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
