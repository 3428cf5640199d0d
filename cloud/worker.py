"""The worker: does what is to be done later, from the database: messages, payouts, purchases that are
taken back, the check of entries.

Promises: safe to run twice and to be killed at any point (see
notifications/delivery.py); looks for work five times a second with one small
read, and takes no write lock without work.  A database that does not answer
and a full disk are waited for.  Leaves the order of a message's steps to notifications, and its
log carries counts only.
"""

import signal
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from cloud.accounting import service as accounting
from cloud.archive import Archive, ArchiveBroken
from cloud.config import Config, ConfigError
from cloud.db import begin, engine, reading
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.losses import service as losses
from cloud.notifications import service as notifications
from cloud.notifications.channel import Channel
from cloud.notifications.file_channel import FileChannel
from cloud.payouts import service as payouts
from cloud.people import service as people
from protocols.ids import hex8

POLL_S = 0.2
_DOWN_S = 1.0
CHECK_S = 30.0
PAYOUTS_S = 2.0
_CHECK_AT_ONCE = 2000

log = structlog.get_logger("worker")


def open_channel(config: Config) -> Channel:
    """The channel of these settings; ConfigError when there is none.

    The folder `spool` shows codes and names in clear, so it is a demo's.
    """
    if not config.demo:
        raise ConfigError("no channel for messages: the channel `file` is for demos (demo = true)")
    return FileChannel(config.spool_dir)


def run_once(
    store: Engine, vault: Vault, channel: Channel, clock: Callable[[], int] = lambda: int(time.time())
) -> int:
    """Do everything that waits now, batch by batch; returns how many facts were taken."""
    taken = 0
    while batch := notifications.deliver(store, vault, channel, clock):
        taken += batch
    return taken


def check_books(store: Engine, now: int) -> list[str]:
    """Check a part of the entries that are new; returns what differs, at most a line for each school."""
    with reading(store) as conn:
        schools = [school.school_id for school in people.schools(conn)]
        waiting = [school_id for school_id in schools if accounting.unchecked(conn, school_id)]
    told = []
    for school_id in waiting:
        with begin(store) as conn:
            found = accounting.check_next(conn, school_id, now, _CHECK_AT_ONCE)
        told += [f"{hex8(school_id)}: {difference}" for difference in found.differences[:1]]
    return told


def extend_calendars(store: Engine, now: int) -> int:
    """Publish the calendars that would end in half a year; returns how many."""
    with reading(store) as conn:
        if not devices.calendars_end(conn, now):
            return 0
    with begin(store) as conn:
        return len(devices.extend_calendars(conn, now))


def tell_new_prices(store: Engine, now: int) -> int:
    """Tell the devices of schools whose catalogue has other prices today; returns how many schools."""
    with reading(store) as conn:
        if not devices.schools_with_new_prices(conn, now):
            return 0
    with begin(store) as conn:
        return len(devices.tell_new_prices(conn, now))


def end_cards(store: Engine, vault: Vault, now: int) -> int:
    """Publish tables where the newest still name a card whose last day is over; returns how many schools."""
    with reading(store) as conn:
        if not devices.cards_ended(conn, now):
            return 0
    with begin(store) as conn:
        return len(devices.publish_ended(conn, vault, now))


def run(config: Config, stop: threading.Event | None = None, *, lease_s: int = notifications.LEASE_S) -> None:
    """Work until `stop` is set; without one, until SIGTERM or Ctrl-C.

    `lease_s`: how long what a killed worker had taken stays untouched.
    """
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_, done=stop: done.set())
    store = engine(config.database_url)
    vault = Vault(config.keys_dir)
    channel = open_channel(config)
    log.info("worker started", channel=channel.name)
    pause = 0.0
    archive = Archive(config.archive_dir)
    check_at = time.monotonic() + CHECK_S
    payouts_at = time.monotonic()
    while not stop.wait(pause):
        try:
            if time.monotonic() >= check_at:
                check_at = time.monotonic() + CHECK_S
                extend_calendars(store, int(time.time()))
                tell_new_prices(store, int(time.time()))
                end_cards(store, vault, int(time.time()))
                for line in check_books(store, int(time.time())):
                    log.error("books differ", what=line)
            if time.monotonic() >= payouts_at:
                payouts_at = time.monotonic() + PAYOUTS_S
                payouts.drive(store, archive, int(time.time()))
                losses.drive(store, int(time.time()))
            taken = notifications.deliver(store, vault, channel, lambda: int(time.time()), lease_s=lease_s)
        except DBAPIError as error:
            log.warning("database does not answer", kind=type(error.orig).__name__)
            pause = _DOWN_S
            continue
        except (OSError, ArchiveBroken) as error:
            # Nothing of the step happened: what the archive does not take is not paid.
            log.warning("disk takes nothing", kind=type(error).__name__)
            pause = _DOWN_S
            continue
        if taken:
            log.info("facts taken", count=taken)
        # Facts that trickle in are taken together: two commits for a batch, not for each.
        pause = 0.0 if taken >= notifications.BATCH else POLL_S
    archive.close()
    store.dispose()
    log.info("worker stopped")
