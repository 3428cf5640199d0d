"""`klasskart cloud payout`, `payouts`, `payout-cancel`, `payouts-release`: money back to parents, by hand.

Promises: each is one transaction over cloud.payouts.service; what cannot be is
one line and exit code 2.  The worker pays.
"""

import getpass
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import Connection

from cloud.archive import Archive
from cloud.cli import cloud, with_config, with_school
from cloud.config import Config, ConfigError
from cloud.db import begin, engine, reading
from cloud.payouts import service
from cloud.people import service as people
from protocols.errors import Fault
from protocols.ids import hex8, parse_hex8
from protocols.money import minor_from_text, text_from_minor


@cloud.command()
@click.argument("account")
@click.argument("amount")
@click.option("--reason", required=True, help="Why, for the books: no names.")
@click.option("--key", required=True, help="What makes it the same request when it comes again.")
@with_config
@with_school
def payout(config: Config, school: int, account: str, amount: str, reason: str, key: str) -> None:
    """Ask for AMOUNT out of the purse of ACCOUNT, its number or the school's number of the pupil.

    What is on no till is paid at once by the worker, the rest when the tills have given it back.
    """
    amount_minor = minor_from_text(amount)

    def work(conn: Connection, archive: Archive, now: int) -> service.Payout:
        account_id = _account(conn, school, account)
        return service.request(
            conn, archive, school, account_id, amount_minor,
            key=key, reason=reason, asked_by=getpass.getuser(), now=now,
        )  # fmt: skip

    click.echo(_line(_change(config, work)))


@cloud.command("payout-cancel")
@click.argument("key")
@with_config
@with_school
def payout_cancel(config: Config, school: int, key: str) -> None:
    """End the open payout KEY; what was paid stays paid, the rest may be spent again."""
    click.echo(
        _line(_change(config, lambda conn, archive, now: service.cancel(conn, archive, school, key, now)))
    )


@cloud.command("payouts-release")
@click.option("--reason", required=True, help="What was compared with the bank, and what it came to.")
@with_config
@with_school
def payouts_release(config: Config, school: int, reason: str) -> None:
    """Let payouts go on that are held since a restore.

    Compare those that are open with the bank's account first, and end with payout-cancel what the bank has
    paid already.
    """
    who = getpass.getuser()
    hold = _change(
        config,
        lambda conn, archive, now: service.release(conn, archive, school, who=who, reason=reason, now=now),
    )
    click.echo(f"held since {_time(hold.held_at)} ({hold.why}), released by {who}")


@cloud.command()
@click.option("--open", "only_open", is_flag=True, help="Only those that are not at their end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@with_config
@with_school
def payouts(config: Config, school: int, only_open: bool, as_json: bool) -> None:
    """List payouts, and for open ones the devices that hold the money and when each was last heard."""
    store = engine(config.database_url)
    with reading(store) as conn:
        found = service.payouts(conn, school, only_open=only_open)
        hold = service.held(conn, school)
    store.dispose()
    if as_json:
        plain = [{**one._asdict(), "awaited": [each._asdict() for each in one.awaited]} for one in found]
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    if hold is not None:
        click.echo(
            f"held since {_time(hold.held_at)}: {hold.why}; compare with the bank, then payouts-release"
        )
    for one in found:
        click.echo(_line(one))
        for each in one.awaited:
            seen = "never heard" if each.last_seen_at is None else f"last heard {_time(each.last_seen_at)}"
            where = f"online, {seen}" if each.online else seen
            status = "" if each.status == "open" else f", {each.status}"
            click.echo(f"  waits for {each.label}: {text_from_minor(each.rights_minor)}, {where}{status}")


def _line(one: service.Payout) -> str:
    paid, wanted = text_from_minor(one.paid_minor), text_from_minor(one.wanted_minor)
    return f"{one.number}  {one.external_key}  {hex8(one.account_id)}  {paid} of {wanted}  {one.state}"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _account(conn: Connection, school_id: int, text: str) -> int:
    """The account of its number in eight hex digits, or of the school's own number; ConfigError for none."""
    accounts = people.accounts(conn, school_id)
    found = [one.account_id for one in accounts if one.external_id == text]
    if not found:
        try:
            number = parse_hex8(text)
        except Fault:
            number = 0
        found = [one.account_id for one in accounts if one.account_id == number]
    if not found:
        raise ConfigError(f"no pupil or account {text}")
    return found[0]


def _change(config: Config, work: Callable[[Connection, Archive, int], Any]) -> Any:
    """Do something in one transaction."""
    store, archive = engine(config.database_url), Archive(config.archive_dir)
    try:
        with begin(store) as conn:
            return work(conn, archive, int(time.time()))
    except service.PayoutRefused as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        archive.close()
        store.dispose()
