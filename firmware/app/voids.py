"""A sale taken back on the device that made it: whole, once, on the same day.

Promises: the journal is the truth, so nothing about voids is remembered: whether a
sale was voided is read from the records behind it, which are those of one day.
What the rights would then hold above CAP is returned *ahead* of the VOID: a cut in
between leaves rights that the parent holds again, and never more than CAP here.
Leaves to the caller who may ask and who is told.
"""

from protocols.errors import OK, VOID_UNKNOWN, Fault
from protocols.ledger import record
from protocols.ledger.holder import may_void

# RETURN, VOID, RETURN: they are written in one go or not begun.
_RECORDS_MAX = 3


class Voids:
    """Takes sales of this device back."""

    def __init__(self, controller) -> None:
        self._controller = controller

    def take_back(self, seq: int) -> tuple:
        """(refusal, seq of the VOID or 0) for the sale with that seq.

        A sale of an earlier day is VOID_DIFFERS, and is not looked for further.
        Faults of the journal (locked, full, broken, flash) come through.
        """
        controller = self._controller
        controller.check_unlocked()
        sale = controller.record_at(seq)
        if sale is None or sale.type != record.SALE:
            return VOID_UNKNOWN, 0
        moment = controller.clock.utc()
        day = controller.day(moment)
        next_seq = controller.journal.next_seq
        wanted = record.Record(record.VOID, sale.flags, day, next_seq, moment, sale.account, sale.amount, seq)
        refusal = may_void(sale, wanted, False) or may_void(sale, wanted, self._was_voided(seq))
        if refusal != OK:
            return refusal, 0
        controller.journal.check_room(_RECORDS_MAX, day)
        self._return_excess(wanted, record.units_of(wanted), moment)
        voided = controller.write(
            record.VOID, sale.flags, account=sale.account, amount=sale.amount, aux=seq, time=moment
        )
        # Only when CAP was lowered since the sale is there still something above it.
        self._return_excess(wanted, 0, moment)
        return OK, voided

    def _was_voided(self, seq: int) -> bool:
        # A damaged record among them is Fault(JOURNAL_BROKEN): it may be the VOID that is looked for.
        for item in self._controller.journal.records(seq + 1):
            if item.type == record.VOID and item.aux == seq:
                return True
        return False

    def _return_excess(self, wanted, coming: int, moment: int) -> None:
        controller, bucket = self._controller, record.bucket_of(wanted)
        due = controller.holder.excess_due(wanted.account, bucket, coming)
        if due is not None:
            controller.write(record.RETURN, 0, account=wanted.account, amount=due, aux=bucket, time=moment)

    def answer(self, seq: int) -> None:
        """Take a sale back as the staff asked, and tell the panel what came of it."""
        panel = self._controller.panel
        try:
            refusal, voided = self.take_back(seq)
        except Fault as fault:
            panel.fault(fault.code, fault.thing)
            refusal, voided = fault.code, 0
        panel.voided(seq, refusal, voided)
