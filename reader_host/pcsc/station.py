"""One PC/SC reader: which cards lie on it, and a talk with the one that does (pyscard over pcscd).

Promises: a reader that is not there, a card that goes away in the middle and an answer that is none are
Faults (READER_DEAD, CARD_GONE, CARD_ANSWER), never an exception of pyscard; the connection is closed when a
talk is over, so that the next card starts without a session.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

from smartcard.CardMonitoring import CardMonitor, CardMonitoringThread, CardObserver
from smartcard.Exceptions import NoCardException, SmartcardException
from smartcard.pcsc.PCSCExceptions import BaseSCardException
from smartcard.scard import (
    SCARD_E_COMM_DATA_LOST,
    SCARD_E_NO_SMARTCARD,
    SCARD_F_COMM_ERROR,
    SCARD_PROTOCOL_T0,
    SCARD_PROTOCOL_T1,
    SCARD_S_SUCCESS,
    SCARD_W_REMOVED_CARD,
    SCARD_W_RESET_CARD,
    SCARD_W_UNPOWERED_CARD,
    SCARD_W_UNRESPONSIVE_CARD,
    SCardIsValidContext,
)
from smartcard.System import readers
from smartcard.util import toHexString

from protocols.card import credential, native
from protocols.errors import CARD_ANSWER, CARD_GONE, READER_DEAD, Fault

_CARD_IS_GONE = {
    code & 0xFFFFFFFF
    for code in (
        0,  # an answer without a byte: the card went while it was asked
        SCARD_E_NO_SMARTCARD,
        SCARD_E_COMM_DATA_LOST,
        SCARD_F_COMM_ERROR,
        SCARD_W_REMOVED_CARD,
        SCARD_W_RESET_CARD,
        SCARD_W_UNPOWERED_CARD,
        SCARD_W_UNRESPONSIVE_CARD,
    )
}

_FAILURES = (SmartcardException, BaseSCardException)
"""pyscard has two families: the second for a pcscd that is not there at all."""

Exchange = Callable[[bytes], bytes]
"""One APDU out, its answer with both status bytes in."""

_GET_UID = b"\xff\xca\x00\x00\x00"
"""PC/SC part 3, section 3.2.2.1.3: the reader itself says the serial number."""


class Laid(NamedTuple):
    """A card was laid on a reader (`is_there`) or taken away; `atr` in hex."""

    reader: str
    atr: str
    is_there: bool


def reader_names() -> list[str]:
    """The readers that pcscd knows; Fault(READER_DEAD) when pcscd itself is not there."""
    try:
        return [str(reader) for reader in readers()]
    except _FAILURES as error:
        raise Fault(READER_DEAD, "pcscd", str(error)) from error


class Watch(CardObserver):
    """Tells of cards that come and go, in order.  Use as a context: it stops listening at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._laid: queue.Queue[Laid] = queue.Queue()
        if not self.is_sound():
            # pyscard keeps one monitor for good, and does not outlive its pcscd.
            CardMonitoringThread.instance.stop()
            CardMonitoringThread.instance = None
            CardMonitor.instance = None
        self._monitor = CardMonitor()

    def __enter__(self) -> Self:
        self._monitor.addObserver(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self._monitor.deleteObserver(self)

    def update(self, _observable: Any, handlers: tuple[list[Any], list[Any]]) -> None:
        """Called by pyscard in its own thread."""
        came, went = handlers
        for card in went:
            self._laid.put(Laid(str(card.reader), toHexString(card.atr), False))
        for card in came:
            self._laid.put(Laid(str(card.reader), toHexString(card.atr), True))

    def is_sound(self) -> bool:
        """Whether cards can still be heard; False when pcscd has gone or was started anew: watch anew."""
        thread = CardMonitoringThread.instance
        if thread is None:
            return True
        if thread.cardrequest is None:
            return bool(thread.is_alive())
        context = thread.cardrequest.pcsccardrequest.hcontext
        return thread.is_alive() and SCardIsValidContext(context) == SCARD_S_SUCCESS

    def next(self, timeout_s: float) -> Laid | None:
        """The next coming or going, or None when none came in time."""
        try:
            return self._laid.get(timeout=timeout_s)
        except queue.Empty:
            return None


class Card:
    """The card that lies on a reader now; `exchange` is the way to it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.uid = self._read_uid()

    def _read_uid(self) -> bytes:
        answer = self.exchange(_GET_UID)
        if answer[-2:] != b"\x90\x00" or len(answer) < 6:
            raise Fault(CARD_ANSWER, "serial number", f"{len(answer)} B")
        return answer[:-2]

    @property
    def credential(self) -> str:
        """What the card shows to everybody: `a:` and its serial number."""
        return credential.of_uid(self.uid)

    def hold(self, talk: Generator[bytes, bytes, Any]) -> Any:
        """Hold a talk of protocols.card now; returns what it returns, with its Faults."""
        return native.run(talk, lambda command: native.unwrap(self.exchange(native.wrap(command))))


@contextmanager
def card_on(name: str) -> Iterator[Card]:
    """The card on the reader of that name; Fault(CARD_GONE) or Fault(READER_DEAD) where one is missing."""
    found = [reader for reader in _found() if str(reader) == name]
    if not found:
        raise Fault(READER_DEAD, "reader", name)
    try:
        connection = found[0].createConnection()
        connection.connect(SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1)
    except _FAILURES as error:
        raise _fault(error) from error
    try:
        yield Card(_way(connection))
    finally:
        try:
            connection.disconnect()
        except _FAILURES:
            # A card that is gone cannot be said goodbye to.
            pass


def _found() -> list[Any]:
    try:
        return list(readers())
    except _FAILURES as error:
        raise Fault(READER_DEAD, "pcscd", str(error)) from error


def _fault(error: Exception) -> Fault:
    """CARD_GONE where the card is the reason, READER_DEAD for all else."""
    is_gone = (
        isinstance(error, NoCardException) or getattr(error, "hresult", -1) & 0xFFFFFFFF in _CARD_IS_GONE
    )
    return Fault(CARD_GONE, "card") if is_gone else Fault(READER_DEAD, "reader", str(error))


def _way(connection: Any) -> Exchange:
    def exchange(apdu: bytes) -> bytes:
        try:
            data, first, second = connection.transmit(list(apdu))
        except _FAILURES as error:
            raise _fault(error) from error
        return bytes(data) + bytes((first, second))

    return exchange
