"""What was done with a card: passages, purchases and refused taps, out of the records that the devices wrote.

Promises: a record is this card's only when the bytes of its reference stand in it; where another card of the
same pupil has the same bytes that is said.  Late records appear like any others.  Pure: rows in, lines out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cloud.losses.force import moment
from protocols.ledger import record

IN, OUT, NOT_TURNED, PURCHASE, REFUSED = "in", "out", "not_turned", "purchase", "refused"
Place = tuple[int, int, int]
"""device_id, epoch, seq"""


class Use(NamedTuple):
    """One thing that was done with the card.

    `at`: when, UTC seconds (when the cloud learnt of it where the device's clock was not set), `learnt_at`:
    when the cloud had it; `is_sure`: no other card of the pupil leaves the same trace; `was_closed`: that
    journal had applied a table with the block before; `refusal`: of a tap, or why the rules set a sale aside.
    """

    place: Place
    kind: str
    at: int
    learnt_at: int
    amount_minor: int = 0
    is_sure: bool = True
    is_voided: bool = False
    was_closed: bool = False
    refusal: int = 0


def uses(
    rows: Sequence[Any], own: Sequence[bytes], others: Sequence[bytes], tables: Mapping[tuple[int, int], Any]
) -> list[Use]:
    """What rows of `store.records` say of a card, the oldest first.

    `own`: the references under which readers say it; `others`: those of the pupil's other cards.
    """
    sale_bits = {record.good_aux(0, each) >> 16 for each in own}
    tap_bits = {record.tap_aux(each) for each in own}
    is_sale_sure = not {each[:2] for each in own} & {each[:2] for each in others}
    is_tap_sure = not {each[:4] for each in own} & {each[:4] for each in others}
    ends = {
        (row.device_id, row.epoch, row.aux): row
        for row in rows
        if row.type == record.PASS and not _is_opened(row)
    }
    voided = {
        (row.device_id, row.epoch, row.aux) for row in rows if row.type == record.VOID and not row.refusal
    }
    found = []
    for row in rows:
        place = row.device_id, row.epoch, row.seq
        first = tables.get(place[:2])
        use = Use(
            place, "", moment(row), row.received_at, is_sure=is_tap_sure,
            was_closed=first is not None and first.seq < row.seq,
        )  # fmt: skip
        if row.type == record.SALE and row.aux >> 16 in sale_bits and row.amount > 0:
            found.append(
                use._replace(
                    kind=PURCHASE, amount_minor=row.amount, is_sure=is_sale_sure, refusal=row.refusal,
                    is_voided=place in voided,
                )
            )  # fmt: skip
        elif _is_opened(row) and row.aux in tap_bits:
            found.append(use._replace(kind=_way(row, ends.get(place))))
        elif row.type == record.NOTE and row.flags == record.NOTE_REFUSED_TAP and row.aux in tap_bits:
            found.append(use._replace(kind=REFUSED, refusal=row.amount))
    return sorted(found, key=lambda one: (one.at, one.place))


def _is_opened(row: Any) -> bool:
    return row.type == record.PASS and row.flags & record.PASS_STAGE == record.PASS_OPENED


def _way(opened: Any, end: Any) -> str:
    if end is not None and end.flags & record.PASS_STAGE == record.PASS_TURNED:
        return OUT if opened.flags & record.PASS_OUT else IN
    return NOT_TURNED
