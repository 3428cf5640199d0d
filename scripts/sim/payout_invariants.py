"""Whether money that parents asked back has reached them (I5), by the cloud's own list of requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cloud import db
from cloud.payouts import service as payouts

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation


def payouts_have_ended(sim: Simulation) -> Iterator[tuple[str, str]]:
    """I5: no payout waits for a till that is there.  After a restore what nobody can return stays reserved,
    and what a thief claims stays with the thief."""
    if sim.backups.restores or sim.hostile is not None:
        return
    with db.reading(sim.cloud.engine) as conn:
        waiting = payouts.payouts(conn, sim.cloud.school, only_open=True)
    gone = {each.label for each in sim.terminals if each.is_gone or each.is_suspect}
    for one in waiting:
        names = {each.label for each in one.awaited if each.status == "open"} - gone
        if names or not one.awaited:
            yield (
                "I5",
                f"payout {one.external_key} is {one.state}, {one.paid_minor} of {one.wanted_minor}: {names}",
            )
