"""`klasskart cloud device-lost`, `device-release`, `new-epoch`, `till-key`, `confirm-day`, `command`.

Promises: each is one transaction over cloud.devices.service; what cannot be is
one line and exit code 2.
"""

import getpass
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from cloud.cli import cloud, with_config, with_reader, with_school
from cloud.config import Config, ConfigError, write_private
from cloud.db import begin, engine
from cloud.devices import service as devices
from cloud.keys import Vault
from protocols.money import text_from_minor


@cloud.command("device-lost")
@click.argument("label")
@with_config
@with_school
def device_lost(config: Config, school: int, label: str) -> None:
    """A device is gone: close its epoch; what it may still spend stays reserved until device-release.

    Its broker login ends with the next broker-config.  Records that turn up later are still taken.
    """
    reserved = _of_device(config, lambda conn, vault, now: devices.lost(conn, vault, school, label, now))
    click.echo(f"{label} is lost, {text_from_minor(reserved)} stay reserved")


@cloud.command("device-release")
@click.argument("label")
@with_config
@with_school
def device_release(config: Config, school: int, label: str) -> None:
    """Set aside in loss:device what a lost or quarantined device may have spent, and free the rest.

    That is what is known to be out; where its journal was not read since the last restore, CAP for
    each purse it knew.  Records that turn up later are paid from it.
    """
    done = _of_device(config, lambda conn, vault, now: devices.release(conn, vault, school, label, now))
    aside, reserved = text_from_minor(done.set_aside_minor), text_from_minor(done.reserved_minor)
    click.echo(f"{aside} of {reserved} set aside from {done.purses} purses")


@cloud.command("confirm-day")
@click.argument("label")
@click.option("--reason", required=True, help="Why; it is kept.")
@click.option("--by", "who", default=getpass.getuser, help="Who asks; it is kept. Else the login name.")
@with_config
@with_school
def confirm_day(config: Config, school: int, label: str, reason: str, who: str) -> None:
    """A person has looked: the cloud's day is right and the device's is not.

    The device takes the time once although it is a step of more than a day, and goes on at that day.
    It is told again until its record of that has come.
    """
    asked = devices.Asked(who, reason)
    _of_device(config, lambda conn, _vault, now: devices.confirm_day(conn, school, label, asked, now))
    click.echo(f"{label} is told the time as soon as it is online")


@cloud.command("command")
@click.argument("label")
@click.argument("kind", type=click.Choice(list(devices.WIRE_KINDS)))
@click.option("--direction", type=click.Choice(["in", "out"]), default="in", help="Which way to open.")
@click.option("--reason", required=True, help="Why; it is kept.")
@click.option("--by", "who", default=getpass.getuser, help="Who asks; it is kept. Else the login name.")
@with_config
@with_school
def command(
    config: Config, school: int, label: str, kind: str, direction: str, reason: str, who: str
) -> None:
    """Open a gate for one passage, or let a device show which one it is; for half a minute.

    Whether it was obeyed stands on the device's page of the office. The passage belongs to nobody's account.
    """
    asked = devices.Asked(who, reason)

    def work(conn: Connection, _vault: Vault, now: int) -> int:
        return devices.command(conn, school, label, kind, asked, now, direction)

    number = _of_device(config, work)
    click.echo(f"command {number} waits for {label} for {devices.LIFE_S} s")


@cloud.command("till-key")
@click.argument("label")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the key file goes.")
@with_config
@with_school
def till_key(config: Config, school: int, label: str, out: Path) -> None:
    """Write the key by which a till speaks with its line; a new epoch of the line ends it.

    For `klasskart till --wire PATH --key FILE` on the till's computer; the file can be destroyed then.
    """

    def work(conn: Connection, vault: Vault, _now: int) -> int:
        told = devices.till_key(conn, vault, school, label)
        write_private(out, [json.dumps(told, indent=1), "\n"])
        return int(told["epoch"])

    click.echo(f"{label} epoch {_of_device(config, work)}")


@cloud.command("new-epoch")
@click.argument("label")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where provision.json goes.")
@click.option("--journal-read", is_flag=True, help="The old journal was read to its end, its key destroyed.")
@with_config
@with_school
@with_reader
def new_epoch(
    config: Config, school: int, label: str, out: Path, journal_read: bool, reader: devices.Reader | None
) -> None:
    """Provision a device anew with a new key; the old epoch counts as lost unless its journal was read.

    It keeps the reader it had unless --reader names another; card keys are those in force now.
    """

    def work(conn: Connection, vault: Vault, now: int) -> int:
        provision = devices.new_epoch(
            conn, vault, school, label, now, journal_read=journal_read,
            broker_host=config.broker_host, broker_port=config.broker_port, reader=reader,
        )  # fmt: skip
        devices.publish_tables(conn, vault, school, now)
        write_private(out, [json.dumps(provision, indent=1), "\n"])
        return int(provision["epoch"])

    click.echo(f"{label} epoch {_of_device(config, work)}")


def _of_device(config: Config, work: Callable[[Connection, Vault, int], Any]) -> Any:
    """Do something to a device in one transaction."""
    store = engine(config.database_url)
    try:
        with begin(store) as conn:
            return work(conn, Vault(config.keys_dir), int(time.time()))
    except devices.EpochRefused as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        store.dispose()
