"""Kinds of faults whose product side is not built yet: silence must not be taken for success."""

from __future__ import annotations

from random import Random
from typing import Any

from scripts.sim.faults import Kind, add_kind

MISSING = (
    (
        "refund_while_offline",
        "a parent takes money back while rights are out",
        "the product has no payout yet",
    ),
)


def _cannot(_sim: Any, _chance: Random) -> bool:
    return False


for _name, _text, _why in MISSING:
    add_kind(Kind(_name, _text, _cannot, _why))
