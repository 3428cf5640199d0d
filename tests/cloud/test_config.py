"""Settings are written once and read the same by every process."""

import stat

import pytest

from cloud.config import Config, ConfigError


def test_written_settings_are_read_back(tmp_path) -> None:
    written = Config(
        tmp_path / "data", broker_port=2883, broker_password='a"b\\c\n\x7fд', demo=True, demo_token="t"
    )
    written.write()
    assert Config.load(tmp_path / "data") == written
    assert Config.load(tmp_path / "data" / "cloud.toml") == written


def test_database_stands_in_the_folder(tmp_path) -> None:
    assert Config(tmp_path).database_url == f"sqlite:///{tmp_path}/cloud.db"


def test_settings_are_for_their_owner(tmp_path) -> None:
    path = Config(tmp_path / "data").write()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_settings_show_no_secret(tmp_path) -> None:
    assert "hush" not in repr(Config(tmp_path, broker_password="hush", demo_token="hush"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("web_port = 'x'", "web_port must be int"),
        ("web_port = true", "web_port must be int"),
        ("web_port = 70000", "no port"),
        ("colour = 1", "unknown setting colour"),
        ("web_port = ", "cloud.toml"),
    ],
)
def test_wrong_setting_is_named(tmp_path, text: str, reason: str) -> None:
    (tmp_path / "cloud.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        Config.load(tmp_path)


def test_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        Config.load(tmp_path)
