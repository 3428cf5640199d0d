"""TIME: what sets the clock of a board, and what does not.

Promises: a TIME counts for this boot only and once; one outside the school's
calendar, or a step of more than a day, is refused, shown and written down, until
a person has confirmed the day; then the board goes on at that day, also when it
is an earlier one.  Leaves the day of a record to controller.py.
"""

from firmware.app.settings import day_at
from protocols.errors import OK, WIRE_CALENDAR, WIRE_CLOCK_STEP, WIRE_NONCE, WIRE_STALE, Fault
from protocols.ledger import record
from protocols.wire import messages

_DAY_S = 86400
# A smaller step of the clock is not worth a record.
_STEP_S = 2
_I32_MAX = 0x7FFFFFFF


class Timekeeper:
    """`is_told`: whether the parent has told the time in this boot."""

    def __init__(self, controller) -> None:
        self._controller = controller
        self._clock = controller.clock
        # (incarnation, counter) of the newest TIME of this boot: an older one that comes late is nothing.
        self._newest = (0, -1)
        self._is_noted = False
        self.is_told = False

    def take(self, head, body: bytes) -> None:
        """Obey the body of a TIME; a Fault of the wire says why not."""
        told = messages.unpack_time(body)
        if told.boot_nonce != self._controller.boot_nonce:
            raise Fault(WIRE_NONCE, "time")
        number = (head.incarnation, head.counter)
        if number <= self._newest:
            raise Fault(WIRE_STALE, "time")
        if not self._clock.settable:
            self._newest = number
            self.is_told = True
            return
        step = told.utc - self._clock.utc()
        day = day_at(self._controller.settings.current, told.utc)
        refusal = self._refusal(told, day, step)
        if refusal != OK:
            self._note(refusal, told.day, step)
            raise Fault(refusal, "time", "%d s" % step)
        self._set(told, day, step)
        self._newest = number
        self.is_told = True

    def _refusal(self, told, day: int, step: int) -> int:
        """OK, or why a person must look at this TIME first."""
        current = self._controller.settings.current
        if min(day, told.day) < current.first_day or max(day, told.day) > current.last_day:
            return WIRE_CALENDAR
        if told.flags & messages.TIME_CONFIRMED:
            return OK
        if self._clock.known and not -_DAY_S <= step <= _DAY_S:
            return WIRE_CLOCK_STEP
        # A board that starts knows no time, but it knows the days that it has written.
        return WIRE_CLOCK_STEP if day + 1 < self._controller.day_min else OK

    def _set(self, told, day: int, step: int) -> None:
        controller = self._controller
        amount = _clipped(step)
        is_confirmed = told.flags & messages.TIME_CONFIRMED
        if not is_confirmed and abs(step) < _STEP_S:
            return
        if is_confirmed and day < controller.day_min:
            controller.take_day_back(day, told.utc, amount)
        else:
            flags = record.CLOCK_CONFIRMED if is_confirmed else record.CLOCK_SET
            controller.write(record.CLOCK, flags, amount=amount, time=told.utc)
        self._clock.set_utc(told.utc)

    def _note(self, refusal: int, day: int, step: int) -> None:
        """Show it, and write it down once in a boot: a parent that goes on asking fills no journal."""
        controller = self._controller
        controller.panel.fault(refusal, "time")
        if not self._is_noted:
            self._is_noted = True
            amount = _clipped(step)
            controller.write(record.CLOCK, record.CLOCK_REFUSED, account=refusal, amount=amount, aux=day)


def _clipped(step: int) -> int:
    """A step in seconds as the field of a record holds it."""
    return max(-_I32_MAX, min(step, _I32_MAX))
