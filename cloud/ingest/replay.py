"""Replays authentic records by the rules of protocols and says what follows from each.

Promises: money reaches a caterer only for a sale at a price the school has
published, by a device that may sell, within rights that the cloud gave; what
fails is kept with its refusal number and its money goes to suspense: from the
purse or the credit whose rights were used, else as a claim that touches neither.
A basket is judged with its items, also those that came in an earlier batch.
A void takes back exactly what its sale moved, wherever that came from.
Leaves writing to batch.py; counters change in the Rights that it is handed.
Thousands of records a second go through here, so rows are made as plain tuples.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from struct import Struct

from cloud.accounting.service import CATERER, CLAIM, SUSPENSE_RULE, Entry
from cloud.attendance.service import IN, OUT, Passage
from cloud.devices.service import Obeyed
from cloud.ingest.fleet import Device
from cloud.ingest.late import SUSPENSE_LATE
from cloud.ingest.payers import Lines, Payers, claim
from cloud.ingest.prices import Published
from cloud.ingest.rights import RightKey, Rights
from cloud.notifications.service import ENTRY, EXIT, PURCHASE, Goods, Happening
from protocols.errors import (
    AMOUNT_RANGE,
    CARD_COPY,
    NOT_IN_MENU,
    OK,
    READER_DEAD,
    READER_NOISE,
    READER_UNTRUSTED,
    RECORD_DAY,
    RETURN_EXCEEDS_RIGHTS,
    RIGHTS_SHORT,
)
from protocols.errors import name as refusal_name
from protocols.ids import hex8
from protocols.ledger import basket, parent, record
from protocols.ledger.record import Record

_FIELDS = Struct("<BBHIIIiI8x")
_KIND, _ACCOUNT = 0, 5
_WITHOUT_RIGHTS = (RIGHTS_SHORT, AMOUNT_RANGE)
_OF_A_DAY = (record.SALE, record.PASS)
_MOVES_RIGHTS = (record.GRANT, record.RETURN, record.SALE, record.VOID)

Earlier = Callable[[Device, int], tuple[Record, int] | None]
"""The record of a device with this seq and its refusal, as taken before this batch."""


class Judged:
    """What follows from the records of one school.

    `rows`: of the table record; `entries`: to post; `told`: for the outbox;
    `closed_days`: days that a device has closed; `alarms`: (kind, detail) or (kind, detail, subject);
    `refused`: (device_id, number) of what a device did not take from us;
    `obeyed`: records of commands; `confirmed`: of days that a person has confirmed; `owing`: accounts
    whose debt for meals moved, or whose rights came back; `refused_taps`: (record, device_id, epoch).
    """

    def __init__(self) -> None:
        self.rows: list[tuple[object, ...]] = []
        self.entries: list[Entry] = []
        self.passages: list[Passage] = []
        self.told: list[Happening] = []
        self.closed_days: list[int] = []
        self.alarms: list[tuple[str, ...]] = []
        self.refused: list[tuple[int, int]] = []
        self.obeyed: list[Obeyed] = []
        self.confirmed: list[Obeyed] = []
        self.owing: set[int] = set()
        self.refused_taps: list[tuple[Record, int, int]] = []

    def refuse(self, refusals: Sequence[int]) -> None:
        """The books refused some entries: keep why with their records, and tell nobody of them."""
        codes: dict[object, int] = {
            (entry.device_id, entry.epoch, entry.seq): refusal
            for entry, refusal in zip(self.entries, refusals, strict=True)
            if refusal
        }
        self.rows = [(*row[:-1], codes.get(row[1:4], row[-1])) for row in self.rows]
        self.told = [fact for fact in self.told if (fact.device_id, fact.epoch, fact.seq) not in codes]


def accounts_moved(raw: bytes) -> Iterator[int]:
    """The accounts whose rights these raw records move."""
    for fields in _FIELDS.iter_unpack(raw):
        if fields[_KIND] in _MOVES_RIGHTS:
            yield fields[_ACCOUNT]


class Replay:
    """Judges the records of a batch, device by device in the order of their journals."""

    def __init__(
        self,
        rights: Rights,
        prices: dict[int, Published],
        earlier: Earlier,
        known: Callable[[Device, int, int], bytes],
        voided: Callable[[Device, int], bool],
        now: int,
        payers: Payers,
        hot: dict[int, dict[int, int]],
        undoing: Callable[[int, str], Lines],
    ) -> None:
        self._rights = rights
        self._prices = prices
        self._earlier = earlier
        self._known = known
        self._voided = voided
        self._now = now
        self._payers = payers
        self._hot = hot
        self._undoing = undoing
        self._lines: dict[tuple[Device, int], Lines] = {}
        self._sales: dict[tuple[Device, int], tuple[Record, int]] = {}
        self._voids: set[tuple[Device, int]] = set()
        self._judges = {
            record.SALE: self._sale,
            record.PASS: self._pass,
            record.GRANT: self._right,
            record.RETURN: self._right,
            record.VOID: self._void,
            record.TABLE: self._table,
            record.INCARN: self._incarnation,
            record.CLOSE_DAY: self._close_day,
            record.CLOCK: self._clock,
            record.NOTE: self._note,
        }
        self.returned: set[RightKey] = set()
        """Keys under which a holder answered a recall."""

    def judge(self, device: Device, raw: bytes, found: Judged) -> None:
        """Take the new records of one device, in their order."""
        (school_id, device_id), epoch, now = device.key, device.epoch, self._now
        capable = {kind: parent.capable(device.kind, kind) for kind in range(256)}
        judges, add = self._judges, found.rows.append
        published = self._prices[device.school_id]
        start = 0
        for fields in _FIELDS.iter_unpack(raw):
            kind, flags, day, seq, moment, account, amount, aux = fields
            refusal = capable[kind]
            if kind in _OF_A_DAY and not published.first_day <= day <= published.last_day:
                refusal = refusal or RECORD_DAY
            judge = judges.get(kind)
            if judge is not None:
                refusal = judge(device, Record._make(fields), refusal, found)
            end = start + record.SIZE
            add(
                (
                    school_id, device_id, epoch, seq, kind, flags, day, moment, account, amount, aux,
                    raw[start:end], now, refusal,
                )
            )  # fmt: skip
            start = end

    def _sale(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        key = (*device.key, device.epoch, item.account, record.bucket_of(item))
        right = self._rights.get(key)
        refusal, after = parent.replay(right.counters, item)
        goods: Goods = ()
        paid = claim(item.amount)
        if not refusal:
            refusal, goods = (capable, ()) if capable else self._goods(device, item)
            # Before a person decides no fund pays for what the rules refuse.
            if item.amount > 0 and not (refusal and item.flags & record.SALE_SOURCE == record.FROM_BENEFIT):
                paid = self._payers.lines(key, item.amount, is_late=device.status == "closed")
            self._rights.sold(key, right, after, item.seq)
            if key[4] == record.MEAL_CREDIT:
                found.owing.add(item.account)
        self._sales[device, item.seq] = item, refusal
        if item.amount <= 0:
            return int(refusal)
        waits = SUSPENSE_RULE if refusal else SUSPENSE_LATE if paid[-1][0] == CLAIM else ""
        lines = self._lines[device, item.seq] = [*paid, (waits or CATERER, item.amount)]
        found.entries.append(
            Entry(
                f"{device.record_prefix}{item.seq}", "sale", item.time, lines,
                device.device_id, device.epoch, item.seq, f"refusal {refusal}" if refusal else "",
            )
        )  # fmt: skip
        if not waits:
            found.told.append(
                Happening(
                    device.school_id, PURCHASE, item.account, device.device_id, device.epoch, item.seq,
                    item.time, self._now, goods, 0 if len(paid) > 1 else item.amount,
                )
            )  # fmt: skip
        return int(refusal)

    def _goods(self, device: Device, item: Record) -> tuple[int, Goods]:
        """(refusal, what was sold): a sale of anything at a price that nobody published waits for a person.

        So does a basket that its items do not make up, and a single good from a benefit or
        meal credit that is not of that hot meal.
        """
        prices = self._prices[device.school_id].prices
        if basket.is_basket(item):
            ahead = self._ahead(device, item)
            lines = [basket.line_of(each) for each in ahead]
            if all((line.good, line.price) in prices for line in lines):
                return basket.committed(ahead, item)[0], tuple(line[:2] for line in lines)
            return NOT_IN_MENU, ()
        good = item.aux & 0xFFFF
        meal = self._hot[device.school_id].get(good, 0)
        if (good, item.amount) in prices and record.is_single_sale(item.flags, meal):
            return OK, ((good, 1),)
        return NOT_IN_MENU, ()

    def _ahead(self, device: Device, sale: Record) -> tuple[Record, ...]:
        """The ITEMs right ahead of a basket's sale: as many as it counts and a basket may have."""
        count = min(sale.aux & 0xFFFF, record.ITEMS_MAX, sale.seq - 1)
        run: tuple[Record, ...] = ()
        for fields in _FIELDS.iter_unpack(self._known(device, sale.seq - count, sale.seq)):
            run = basket.follow(run, Record._make(fields))
        return run

    def _right(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        """GRANT and RETURN: counters move; what only the device claims is reserved and not given."""
        if capable:
            return capable
        key = (*device.key, device.epoch, item.account, item.aux)
        right = self._rights.touch(key)
        refusal, after = parent.replay(right.counters, item)
        if item.type == record.GRANT:
            self._rights.journaled(key, item.amount, item.seq)
        elif refusal != RETURN_EXCEEDS_RIGHTS:
            self._rights.replayed(key, after, item.seq)
            found.owing.add(item.account)
            # A till that has not journaled its grant yet cannot have returned from it: it is asked again.
            knows_all = right.journaled >= after.granted or after.returned >= right.recall_target
            if knows_all:
                self.returned.add(key)
        return int(refusal)

    def _void(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        """Takes the entry of a sale back, from where its money went."""
        if capable:
            return capable
        named = device, item.aux
        sale, sale_refusal = self._sales.get(named) or self._earlier(*named) or (None, OK)
        if sale_refusal in _WITHOUT_RIGHTS:
            sale = None  # it used no rights, so there are none to give back
        key = (*device.key, device.epoch, item.account, record.bucket_of(item))
        was_voided = named in self._voids or self._voided(*named)
        refusal, after = parent.replay(self._rights.get(key).counters, item, sale, was_voided)
        if refusal:
            return int(refusal)
        self._rights.replayed(key, after, item.seq)
        self._voids.add(named)
        found.owing.add(item.account)
        sold = f"{device.record_prefix}{item.aux}"
        back = [(code, -amount) for code, amount in self._lines.get(named, ())]
        found.entries.append(
            Entry(
                void_key(device, item.aux), "reversal", item.time,
                back or self._undoing(device.school_id, sold),
                device.device_id, device.epoch, item.seq, f"void of record {item.aux}", sold,
            )
        )  # fmt: skip
        return OK

    def _pass(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        stage = item.flags & record.PASS_STAGE
        if capable or stage == record.PASS_OPENED or not item.account:
            # One without an account was opened by a command: nobody came or left by it.
            return capable
        is_out = item.flags & record.PASS_OUT
        source = device.device_id, device.epoch, item.seq
        turned = stage == record.PASS_TURNED
        found.passages.append(
            Passage(*source, item.account, item.day, item.time, self._now, OUT if is_out else IN, turned)
        )
        if turned:
            event = EXIT if is_out else ENTRY
            found.told.append(Happening(device.school_id, event, item.account, *source, item.time, self._now))
        return OK

    def _incarnation(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        """Everything before this record was read: what the device did under an earlier parent is known."""
        known = device.incarnation, device.incarnation_id
        if item.aux < known[0] or (item.aux, item.account) == known:
            device.incarn_seen = max(device.incarn_seen, item.aux)
        return capable

    def _close_day(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        found.closed_days.append(item.day)
        return capable

    def _clock(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        """A clock that was not set, or by a person's word, is for a person to see."""
        where = f"{hex8(device.device_id)} record {item.seq}"
        if item.flags == record.CLOCK_REFUSED:
            why = f"{refusal_name(item.account)}, {item.amount} s"
            found.alarms.append(("clock_refused", f"{where}: {why}, told day {item.aux}"))
        elif item.flags == record.CLOCK_CONFIRMED:
            found.confirmed.append(Obeyed(device.device_id, device.epoch, item.seq, 0, 0))
            found.alarms.append(("clock_confirmed", f"{where}: {item.amount} s, day {item.day}"))
        return capable

    def _note(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        if item.flags == record.NOTE_COMMAND:
            found.obeyed.append(Obeyed(device.device_id, device.epoch, item.seq, item.amount, item.aux))
        elif item.flags == record.NOTE_REFUSED_TAP:
            found.refused_taps.append((item, device.device_id, device.epoch))
        if (item.flags, item.amount) in _FOR_A_PERSON:
            found.alarms.append(_FOR_A_PERSON[item.flags, item.amount](device, item))
        return capable

    def _table(self, device: Device, item: Record, capable: int, found: Judged) -> int:
        if item.flags == record.TABLE_ACCOUNTS:
            device.table_version = max(device.table_version, item.aux)
            device.table_incarn = device.incarn_seen
        elif item.flags == record.TABLE_SETTINGS:
            device.settings_version = max(device.settings_version, item.aux)
        elif item.flags == record.TABLE_REFUSED:
            where = f"{hex8(device.device_id)} record {item.seq}"
            found.alarms.append(("table_refused", f"{where}: table {item.aux}, {refusal_name(item.amount)}"))
            found.refused.append((device.device_id, item.amount))
        return capable


def _copied(device: Device, item: Record) -> tuple[str, str, str]:
    """The bare number of a protected card was shown.

    To a reader that asks for proof it is a copy: one alarm for each account and day.  A reader that hands
    numbers on says the same of the card itself: once for it and the day, whoever's card it is.
    """
    if not device.asks_for_proof:
        return "card_unproven", f"shown to {_where(device, item)}", f"{hex8(device.device_id)}:{item.day}"
    detail = f"account {hex8(item.account)}: shown to {_where(device, item)}"
    return "card_copied", detail, f"{hex8(item.account)}:{item.day}"


def _reader_fails(device: Device, item: Record) -> tuple[str, str, str]:
    """A reader does not read, until it works again; a device notes one that flaps as one failure."""
    detail = f"reader {item.aux} of {_where(device, item)}: {refusal_name(item.amount)}"
    return "reader_dead", detail, f"{hex8(device.device_id)}:{device.epoch}:{item.aux}:{item.seq}"


def _reader_works(device: Device, item: Record) -> tuple[str, str, str]:
    """The end of the newest alarm about this reader."""
    detail = f"reader {item.aux} of {_where(device, item)}"
    return "reader_works", detail, f"{hex8(device.device_id)}:{device.epoch}:{item.aux}:{item.seq}"


def _where(device: Device, item: Record) -> str:
    moment = datetime.fromtimestamp(item.time, UTC)
    return f"{hex8(device.device_id)}, record {item.seq}, {moment:%Y-%m-%d %H:%M} UTC"


# Notes of a device that somebody must hear of: (flags, amount).
_FOR_A_PERSON = {
    (record.NOTE_REFUSED_TAP, CARD_COPY): _copied,
    (record.NOTE_READER, READER_DEAD): _reader_fails,
    (record.NOTE_READER, READER_NOISE): _reader_fails,
    (record.NOTE_READER, READER_UNTRUSTED): _reader_fails,
    (record.NOTE_READER, OK): _reader_works,
}


def void_key(device: Device, sale_seq: int) -> str:
    """The external key of what takes one sale back: there is one for each sale."""
    return f"void:{hex8(device.device_id)}:{device.epoch}:{sale_seq}"
