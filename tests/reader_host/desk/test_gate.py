"""A card from the desk before the firmware of a gate, through the register-level model of its chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.proof import prover
from firmware.drivers.taps import Taps
from firmware.hal.panel import ASK, GO
from protocols.card.application import GATE
from protocols.errors import OK
from reader_host.desk.store import ISSUE, WIPE
from reader_host.desk.work import Wish
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.rig import Rig, row
from tests.protocols.card.virtual_card import randoms
from tests.reader_host.desk.parts import UID, Parts, desfire, ntag
from tests.reader_host.desk.test_work import do


def shown(parts: Parts, credential: str, card: Any) -> list[tuple[str, int]]:
    """What a gate with the school's keys of its role and this credential in its table shows for a card."""
    crowd = Crowd()

    def reader(rig: Any) -> Taps:
        model = Mfrc522Model(crowd, rig.clock)
        prove = prover(GATE, parts.keys.masters.of, randoms(5))
        return Taps([("in", Mfrc522(model, rig.clock, prove, model))], rig.clock, rig.panel)

    rig = Rig(rows=(row(credential, 11),), reader_of=reader)
    rig.run(500)
    crowd.lay(TypeA(UID, card))
    rig.run(1000)
    return [tuple(verdict[:2]) for verdict in rig.panel.verdicts]


@pytest.mark.parametrize("make", [desfire, ntag])
def test_gate_opens_for_a_card_from_the_desk_and_not_for_a_wiped_one(memory: Path, make: Any):
    parts, card = Parts(memory), make()
    operation = do(parts, card, Wish(ISSUE, "s1"))
    credential = parts.store.secret(operation.op_id).credential
    assert shown(parts, credential, card) == [(GO, OK)]
    do(parts, card, Wish(WIPE))
    assert [verdict for verdict, _refusal in shown(parts, credential, card)] == [ASK]
