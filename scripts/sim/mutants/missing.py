"""Seeded bugs that are not hunted yet, and why: nobody shall count them as caught."""

from __future__ import annotations

from scripts.sim.mutants import Mutant, Patches, add_mutant

_NO_FAULT = "random faults of a few seeds let it slip: a directed fault is to be written"

MISSING = (
    ("payout_ignores_escrow", "a payout ignores what tills hold", "the product has no payout yet"),
    ("higher_incarnation_ignored", "a restored cloud ignores a higher incarnation", _NO_FAULT),
    ("older_epoch_accepted", "a message of an older epoch is taken", _NO_FAULT),
    ("old_incarnation_accepted", "a grant from before a restore is obeyed after it", _NO_FAULT),
    (
        "lost_in_recovery_releases_what_is_known",
        "not CAP, though the cloud has lost its memory",
        _NO_FAULT,
    ),
    ("no_raw_archive", "nothing outside the database knows the records", _NO_FAULT),
    ("benefit_charged_twice", "the fund pays for two breakfasts of a day", "the product has no benefits yet"),
    ("time_poisoned", "one TIME moves the day for ever", "the product has no calendar in SETTINGS yet"),
    ("held_back_command_obeyed", "a command of the boot before is obeyed", "the product has no commands yet"),
)


def _nothing(_patches: Patches) -> None:
    """There is nothing to break yet."""


for _name, _text, _why in MISSING:
    add_mutant(Mutant(_name, _text, _nothing, (), _why))
