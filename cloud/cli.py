"""`klasskart cloud`: run the cloud's processes and look after a data folder.

Promises: each command is a thin function over a service; a row that was not
applied is named with file, line and reason and the exit code is 1; a setting
that cannot be is one line and the exit code is 2.  Secrets never come from
argv: they stand in the data folder.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import structlog

from cloud.config import Config, ConfigError, write_private
from cloud.db import begin, engine, reading
from cloud.keys import Vault, VaultError
from protocols.errors import Fault
from protocols.ids import hex8, parse_hex8


def set_up_log() -> None:
    """One line of JSON for each event, on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the settings of --config and turns our own errors into one line."""

    @click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path),
        default=Path("cloud.toml"),
        show_default=True,
        help="cloud.toml of the data folder, or the folder itself.",
    )
    @wraps(command)
    def run(path: Path, **values: Any) -> None:
        try:
            command(Config.load(path), **values)
        except (ConfigError, VaultError, Fault) as error:
            click.echo(f"klasskart cloud: {error}", err=True)
            sys.exit(2)

    return run


def with_school(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the school of --school; it may be left out where there is only one."""

    @click.option("--school", "school", default="", help="The school's number, eight hex digits.")
    @wraps(command)
    def run(config: Config, school: str, **values: Any) -> None:
        command(config, _school(config, school), **values)

    return run


def _school(config: Config, text: str) -> int:
    from cloud.people import service as people

    store = engine(config.database_url)
    with reading(store) as conn:
        known = [school.school_id for school in people.schools(conn)]
    store.dispose()
    if text and parse_hex8(text) in known:
        return parse_hex8(text)
    if text or len(known) != 1:
        raise ConfigError(f"--school: one of {', '.join(map(hex8, known)) or 'none yet'}")
    return known[0]


def _check_schema(config: Config) -> None:
    """ConfigError unless the database has the schema of this version: a process on another one would fail
    at every statement and lose nothing but time."""
    from cloud import migrations

    store = engine(config.database_url)
    with reading(store) as conn:
        stands, wanted = migrations.revision(conn), migrations.newest()
    store.dispose()
    if stands != wanted:
        raise ConfigError(
            f"the database has schema {stands or 'none'}, not {wanted}: run klasskart cloud migrate"
        )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cloud() -> None:
    """Run and look after the cloud: books, people, devices, pages."""
    set_up_log()


@cloud.command()
@with_config
def migrate(config: Config) -> None:
    """Bring the database to the newest schema; safe to run at any time."""
    from cloud import migrations

    store = engine(config.database_url)
    click.echo(f"schema {migrations.upgrade(store)}")
    store.dispose()


@cloud.command()
@with_config
def serve(config: Config) -> None:
    """Serve the pages with waitress, on loopback unless cloud.toml says otherwise."""
    _check_schema(config)
    import waitress  # type: ignore[import-untyped]

    from cloud.app import create_app, serve_options

    waitress.serve(create_app(config), **serve_options(config))


@cloud.command()
@with_config
def ingest(config: Config) -> None:
    """Take what devices send, keep the books, answer them; one process for each database."""
    _check_schema(config)
    from cloud.ingest import client

    client.run(config)


@cloud.command()
@with_config
def worker(config: Config) -> None:
    """Do what is to be done later: messages to parents."""
    _check_schema(config)
    from cloud import worker as work

    work.run(config)


@cloud.command("office-link")
@click.option("--who", default="office", show_default=True, help="Whom it is for: stands at what they do.")
@with_config
@with_school
def office_link(config: Config, school: int, who: str) -> None:
    """Print a link that opens the office once, within ten minutes, for one person."""
    from cloud.codes import service as codes

    store = engine(config.database_url)
    with begin(store) as conn:
        token = codes.new_link(conn, Vault(config.keys_dir), school, int(time.time()), who)
    store.dispose()
    address = config.web_url.rstrip("/") or f"http://{config.web_host}:{config.web_port}"
    click.echo(f"{address}/office/enter?link={token}")


@cloud.command("broker-config")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=None,
    help="Where to write; by default broker/ of the data.",
)
@with_config
def broker_config(config: Config, folder: Path | None) -> None:
    """Write mosquitto.conf, passwords and topic rights for the devices there are now.

    A running broker reads passwords and rights again on SIGHUP.
    """
    from cloud.devices import service as devices

    if not config.broker_username or not config.broker_password:
        raise ConfigError("broker_username and broker_password: ingest needs a login")
    store = engine(config.database_url)
    with reading(store) as conn:
        path = devices.broker_files(
            conn,
            folder or config.data_dir / "broker",
            username=config.broker_username,
            password=config.broker_password,
            port=config.broker_port,
            host=config.broker_host,
        )
    store.dispose()
    click.echo(path)


@cloud.command("create-school")
@click.argument("name")
@click.option("--time-zone", default="Europe/Moscow", show_default=True, help="IANA name.")
@with_config
def create_school(config: Config, name: str, time_zone: str) -> None:
    """Make a school and print its number."""
    from cloud.people import service as people

    store = engine(config.database_url)
    try:
        with begin(store) as conn:
            school_id = people.create_school(conn, name, time_zone)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    finally:
        store.dispose()
    Vault(config.keys_dir).reference_key(school_id)
    click.echo(hex8(school_id))


@cloud.command("import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--strict", is_flag=True, help="Apply nothing when one row is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_config
@with_school
def import_folder(config: Config, school: int, folder: Path, strict: bool, as_json: bool) -> None:
    """Import a school's files: students, parents, cards, menu, top-ups.

    Rows that are wrong are listed and left out, the others are applied; exit code 1 then.
    New settings and tables go to the devices when something changed.
    """
    from cloud.devices import service as devices
    from cloud.people.importer import import_school

    store, now, vault = engine(config.database_url), int(time.time()), Vault(config.keys_dir)
    with begin(store) as conn:
        report = import_school(conn, vault, folder, school, strict, now)
        if report.rows_changed:
            devices.publish_settings(conn, school, now)
            devices.publish_tables(conn, vault, school, now)
    store.dispose()
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        for problem in (*report.problems, *report.warnings):
            click.echo(f"{problem.file}:{problem.line}: {problem.reason}", err=True)
        click.echo(f"{report.rows_applied} rows good, {report.rows_changed} of them new or changed")
    sys.exit(1 if report.problems else 0)


def with_reader(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the card reader of a device, None where nobody said which."""
    from cloud.devices import service as devices

    @click.option("--reader", type=click.Choice(devices.READER_KINDS), default=None, help="Its card reader.")
    @click.option("--uid-reversed", is_flag=True, help="The reader says the last byte of a number first.")
    @click.option("--osdp-address", type=int, default=0, show_default=True, help="Of an OSDP reader.")
    @wraps(command)
    def run(*place: Any, reader: str | None, uid_reversed: bool, osdp_address: int, **values: Any) -> None:
        if reader is None and (uid_reversed or osdp_address):
            raise ConfigError("--reader: name the reader that this is said of")
        chosen = devices.Reader(reader, uid_reversed, osdp_address) if reader else None
        command(*place, reader=chosen, **values)

    return run


@cloud.command("add-device")
@click.argument("label")
@click.argument("kind", type=click.Choice(["gate", "canteen"]))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where provision.json goes.")
@with_config
@with_school
@with_reader
def add_device(config: Config, school: int, label: str, kind: str, out: Path, reader: Any) -> None:
    """Register a device and write its provisioning record, the only copy of its key in clear.

    With --reader the record carries the card keys of that kind of device, where the reader can ask for proof.
    """
    from cloud.devices import service as devices

    store, now, vault = engine(config.database_url), int(time.time()), Vault(config.keys_dir)
    try:
        with begin(store) as conn:
            provision = devices.register(
                conn, vault, school, label, kind, now,
                broker_host=config.broker_host, broker_port=config.broker_port, reader=reader,
            )  # fmt: skip
            devices.publish_tables(conn, vault, school, now)
            write_private(out, [json.dumps(provision, indent=1), "\n"])
    except devices.DeviceRefused as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        store.dispose()
    click.echo(hex8(provision["device"]))


@cloud.command("publish-tables")
@with_config
@with_school
def publish_tables(config: Config, school: int) -> None:
    """Place the money of the purses on the tills and give every device a new account table."""
    from cloud.devices import service as devices

    store = engine(config.database_url)
    with begin(store) as conn:
        version = devices.publish_tables(conn, Vault(config.keys_dir), school, int(time.time()))
    store.dispose()
    click.echo(f"table {version}")


@cloud.command("check-books")
@with_config
@with_school
def check_books(config: Config, school: int) -> None:
    """Add up all postings: the sum, balances that differ, refused entries; exit code 1 unless all is well."""
    from cloud.accounting import service as accounting

    store = engine(config.database_url)
    with reading(store) as conn:
        total = accounting.books_sum(conn, school)
        differing = accounting.differing_balances(conn, school)
        refused = accounting.refused_entries(conn, school)
    store.dispose()
    click.echo(f"sum {total}, {len(differing)} balances differ, {len(refused)} entries refused")
    for code, posted, cached in differing:
        click.echo(f"{code}: postings {posted}, balance {cached}")
    for entry in refused:
        click.echo(f"{entry.external_key}: refusal {entry.code}, {entry.times} times")
    sys.exit(1 if total or differing or refused else 0)


@cloud.command("database-role")
@click.argument("name")
@with_config
def database_role(config: Config, name: str) -> None:
    """Make the PostgreSQL login NAME for the cloud's processes: no DDL, and no changed or deleted books.

    Run it with the owner's database_url and again after each migration. The login's password stands in
    keys/database-role of the data folder; put it into the processes' database_url.
    """
    import secrets

    from cloud.store import restrict

    path = config.keys_dir / "database-role"
    password = path.read_text(encoding="ascii").strip() if path.exists() else secrets.token_urlsafe(24)
    store = engine(config.database_url)
    try:
        with begin(store) as conn:
            restrict(conn, name, password)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    finally:
        store.dispose()
    if not path.exists():
        config.keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, [password, "\n"])
    click.echo(f"role {name}, password in {path}")


from cloud.benefits import commands as benefit_commands  # noqa: E402, F401 - they belong to the group above
from cloud.devices import commands as commands  # noqa: E402 - they belong to the group above
from cloud.payouts import commands as payout_commands  # noqa: E402, F401 - and so do these
