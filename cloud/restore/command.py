"""`klasskart backup` and `klasskart restore`."""

import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from cloud.cli import set_up_log, with_config
from cloud.config import Config
from cloud.restore import service
from cloud.restore.store import DatabaseRefused

_FOLDER = click.Path(path_type=Path, file_okay=False)
_KEYS_HELP = "Where the keys go, apart from the rest; by default FOLDER-keys."


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--keys", "keys_folder", type=_FOLDER, default=None, help=_KEYS_HELP)
@with_config
def backup(config: Config, folder: Path, keys_folder: Path | None) -> None:
    """Copy database and raw archive to FOLDER while everything runs, the keys to a folder of their own.

    Keep the two apart: who has both can read and write everything.
    """
    try:
        manifest = service.back_up(config, folder, _keys(folder, keys_folder), int(time.time()))
    except (service.RestoreRefused, DatabaseRefused) as refused:
        _end("backup", refused)
    size = sum(each["size"] for each in manifest["files"].values())
    click.echo(f"{len(manifest['files'])} files, {size} bytes")
    for school, standing in manifest["schools"].items():
        entries, records = standing["entries"], standing["records"]
        click.echo(f"school {school}: {entries} entries, {records} records")


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--keys", "keys_folder", type=_FOLDER, default=None, help="Where the keys are; FOLDER-keys.")
@click.option("--force", is_flag=True, help="Also when the present database is newer than the backup.")
@with_config
def restore(config: Config, folder: Path, keys_folder: Path | None, force: bool) -> None:
    """Put a backup back and begin a new incarnation.

    Stop ingest first.  Devices go on selling; each school is in recovery, without new grants, until
    every open till's journal was read again.  Then import the bank's files again: known lines change nothing.
    """
    set_up_log()
    keys = _keys(folder, keys_folder)
    try:
        incarnations = service.restore(config, folder, keys, force=force, now=int(time.time()))
    except (service.RestoreRefused, DatabaseRefused) as refused:
        _end("restore", refused)
    for school, incarnation in incarnations.items():
        click.echo(f"school {school}: incarnation {incarnation}, in recovery until its tills are read")


def _keys(folder: Path, keys_folder: Path | None) -> Path:
    return keys_folder or folder.with_name(folder.name + "-keys")


def _end(name: str, error: Exception) -> NoReturn:
    click.echo(f"klasskart {name}: {error}", err=True)
    sys.exit(2)
