"""What is looked at when a board's record becomes durable: whether its parent has said so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from protocols.ledger import record

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

Finding = tuple[str, str]
"""(invariant, what was seen)"""


def follow(sim: Simulation, terminal: Any, item: record.Record) -> Iterator[Finding]:
    """I4 and I12, by the one record of `terminal`."""
    if item.type == record.GRANT:
        yield from grant_is_known(sim, terminal, item)
    elif item.type == record.TABLE:
        yield from table_is_whole(sim, terminal, item)


def grant_is_known(sim: Simulation, terminal: Any, item: record.Record) -> Iterator[Finding]:
    """I4 at the moment at which a sound till writes a grant down: its parent has given it.  A parent that is
    down may lie on a restored database that it has not compared with anything yet."""
    if terminal.is_suspect or sim.cloud.down or sim.cloud.in_recovery:
        return
    statement = (
        "SELECT granted FROM spending_right"
        " WHERE device_id = ? AND epoch = ? AND account_id = ? AND bucket = ?"
    )
    key = terminal.provision.device, terminal.provision.epoch, item.account, item.aux
    rows = sim.cloud.select(statement, key)
    if not rows or rows[0][0] < item.amount:
        yield "I4", f"{terminal.name} obeyed a grant of {item.amount}, its parent gave {rows}"


def table_is_whole(sim: Simulation, terminal: Any, item: record.Record) -> Iterator[Finding]:
    """I12 at the moment at which a board writes down a table: its bytes are those that were published.

    After a restore a number may have been given twice.
    """
    if item.flags != record.TABLE_ACCOUNTS or sim.backups.restores:
        return
    statement = "SELECT image FROM device_table WHERE device_id = ? AND version = ?"
    for (image,) in sim.cloud.select(statement, (terminal.device, item.aux)):
        if terminal.storage.files["accounts"] != bytes(image):
            yield "I12", f"{terminal.name} uses a table {item.aux} that nobody published"
