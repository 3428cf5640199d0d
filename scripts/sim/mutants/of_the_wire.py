"""Bugs of messages: on both ends at once, since both use the same code."""

from __future__ import annotations

from protocols.wire import envelope
from scripts.sim.mutants import Patches, mutant


@mutant("the MAC is not checked", "message_forged", "message_corrupted")
def mac_not_checked(patches: Patches) -> None:
    """Any 16 bytes will do."""
    patches.replace(envelope, "equal", lambda left, right: True)
