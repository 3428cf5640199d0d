"""The files of the broker: passwords as mosquitto hashes them, one device's rights and no more."""

import base64
import stat
import subprocess

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.devices import broker
from cloud.devices import service as devices
from cloud.keys import Vault
from tests.cloud.schools import add_school
from tests.fixtures.components import program


@pytest.mark.mosquitto
def test_password_is_hashed_as_mosquitto_does(tmp_path) -> None:
    path = tmp_path / "passwords"
    path.write_text("name:some password\n", encoding="ascii")
    subprocess.run([program("mosquitto_passwd", package="mosquitto"), "-U", path], check=True)
    _name, _, theirs = path.read_text(encoding="ascii").strip().partition(":")
    _empty, kind, iterations, salt, _digest = theirs.split("$")
    ours = broker.password_hash("some password", base64.b64decode(salt))
    assert (kind, iterations) == ("7", "101")
    assert ours == theirs


def test_files_name_open_devices_only(store: Engine, tmp_path) -> None:
    school = add_school(store)
    vault = Vault(tmp_path / "keys")
    with db.begin(store) as conn:
        mine, lost = (devices.register(conn, vault, school, label, "gate", 1) for label in ("a", "b"))
        bulk.run(conn, "UPDATE device_epoch SET status = 'lost' WHERE device_id = ?", (lost["device"],))
        path = devices.broker_files(conn, tmp_path / "broker", username="ingest", password="hush", port=2883)
    rights = (tmp_path / "broker" / "rights").read_text(encoding="ascii")
    passwords = (tmp_path / "broker" / "passwords").read_text(encoding="ascii")
    topic = f"kk/1/{school:08x}/{mine['username']}"
    block = rights.split(f"user {mine['username']}\n")[1].split("user ")[0].split("\n")
    expected = [("write", "up"), ("write", "state"), ("read", "down"), ("read", "tbl")]
    assert [line for line in block if line] == [f"topic {verb} {topic}/{leaf}" for verb, leaf in expected]
    assert lost["username"] not in rights + passwords
    assert mine["password"] not in passwords
    assert "hush" not in passwords + path.read_text(encoding="ascii")
    assert "listener 2883 127.0.0.1\n" in path.read_text(encoding="ascii")
    for file in (tmp_path / "broker").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
