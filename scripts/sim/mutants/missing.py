"""Seeded bugs that are not hunted yet, and why: nobody shall count them as caught."""

from __future__ import annotations

from scripts.sim.mutants import Mutant, Patches, add_mutant

MISSING = (("payout_ignores_escrow", "a payout ignores what tills hold", "the product has no payout yet"),)


def _nothing(_patches: Patches) -> None:
    """There is nothing to break yet."""


for _name, _text, _why in MISSING:
    add_mutant(Mutant(_name, _text, _nothing, (), _why))
