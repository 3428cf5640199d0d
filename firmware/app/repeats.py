"""The same card again within three seconds: one short memory of accepted taps.

Promises a bound of eight taps.  After a boot the memory is filled again from
the journal, where a tap stands with four bytes of its card reference (a
passage) or two bytes and the account (a sale), and with seconds only.
"""

from protocols.ledger import record

_TAPS_MAX = 8
_WHOLE = 0xFFFFFFFF
_HALF = 0xFFFF


class Repeats:
    """Knows the last accepted taps of this device."""

    def __init__(self, clock) -> None:
        self._clock = clock
        # (reference bits, mask, account, ticks or None, UTC seconds), oldest first.
        self._taps = []
        # Their accounts in the same order: a card that is in none of them is through at once.
        self._accounts = []

    def accept(self, bits: int, account: int, tap) -> None:
        """Remember an accepted tap; `bits` are the first four bytes of the card reference."""
        self._push((bits, _WHOLE, account, tap.ticks, tap.time))

    def recover(self, item) -> None:
        """Remember an accepted tap from its journal Record; other records are passed over."""
        if item.type == record.PASS and item.flags & record.PASS_STAGE == record.PASS_OPENED:
            self._push((item.aux, _WHOLE, item.account, None, item.time))
        elif item.type == record.SALE:
            self._push((item.aux >> 16, _HALF, item.account, None, item.time))

    def _push(self, entry: tuple) -> None:
        self._taps.append(entry)
        self._accounts.append(entry[2])
        if len(self._taps) > _TAPS_MAX:
            self._taps.pop(0)
            self._accounts.pop(0)

    def is_repeat(self, bits: int, account: int, tap, repeat_ms: int) -> bool:
        """Whether this card was accepted at most `repeat_ms` before this tap."""
        return account in self._accounts and self._is_repeat(bits, account, tap, repeat_ms)

    def _is_repeat(self, bits: int, account: int, tap, repeat_ms: int) -> bool:
        for known, mask, known_account, ticks, seconds in self._taps:
            if bits & mask != known or account != known_account:
                continue
            if ticks is None:
                passed = (tap.time - seconds) * 1000
            else:
                passed = self._clock.elapsed(tap.ticks, ticks)
            if 0 <= passed <= repeat_ms:
                return True
        return False
