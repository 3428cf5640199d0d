"""A small school with one morning of events, for screenshots and for the tests of pages.

Promises: real records of devices (packed, chained and sealed as a board does it), real entries through
accounting.post, real messages in the outbox; the same call makes the same school.  Leaves boards, brokers and
files of a real school to scripts/play.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, update

from cloud import db, migrations
from cloud.accounting import service as accounting
from cloud.attendance import service as attendance
from cloud.config import Config
from cloud.formats import SchoolTime
from cloud.keys import Vault
from cloud.notifications import service as notifications
from cloud.statements import service as statements
from protocols.ledger import record as records
from protocols.mac import DeviceKeys, Hmac

SCHOOL = 0x0000F015
MORNING = 1_788_210_000  # 2026-09-01 00:00 in Moscow
NOW = MORNING + 11 * 3600 + 45 * 60
GATE_1, GATE_2, LINE_1, LINE_2 = 0xA1000001, 0xA1000002, 0xB1000001, 0xB1000002
MASHA, VANYA, ARTYOM, LONG_NAME, SISTER = 0x01A0B1C2, 0x02A0B1C2, 0x03A0B1C2, 0x04A0B1C2, 0x05A0B1C2
PHONE, OTHER_PHONE, MANY_PHONE, ALONE_PHONE = "+79120000001", "+79120000002", "+79120000003", "+79120000004"
BREAKFAST, LUNCH = 1, 2
_DEVICE_KEY = bytes(range(32))


def at(hour: int, minute: int, *, days: int = 0) -> int:
    """UTC seconds of a wall-clock time of the school's morning, or of days before it (negative)."""
    return MORNING + days * 86_400 + hour * 3600 + minute * 60


def card_ref(account_id: int) -> bytes:
    """The reference of the card of one of these pupils."""
    return account_id.to_bytes(4, "little") * 4


class SampleSchool:
    """Fills a migrated store through an open connection; keeps each device's journal going."""

    def __init__(self, conn: Connection, school_id: int = SCHOOL) -> None:
        self.conn = conn
        self.school_id = school_id
        self._journals: dict[int, tuple[Hmac, bytes, int]] = {}
        self._times = SchoolTime("Europe/Moscow", "ru")
        self._next_person = 1

    def add(self, table: object, **values: object) -> None:
        """One row of this school."""
        self.conn.execute(insert(table).values(school_id=self.school_id, **values))  # type: ignore[arg-type]

    def found(self, name: str = "Школа № 15") -> None:
        """The school itself with its menu and classes."""
        self.add(db.school, name=name, time_zone="Europe/Moscow", table_version=3, settings_version=1)
        self.add(
            db.good, good_id=BREAKFAST, name="breakfast", meal="breakfast", from_minute=480, to_minute=659,
            price_minor=6200,
        )  # fmt: skip
        self.add(
            db.good,
            good_id=LUNCH,
            name="lunch",
            meal="lunch",
            from_minute=660,
            to_minute=930,
            price_minor=9600,
        )
        for number, name_of_class in enumerate(("2Б", "7А", "10В"), 1):
            self.add(db.school_class, class_id=number, name=name_of_class)

    def device(self, device_id: int, label: str, kind: str, *, online: bool, seen_at: int | None) -> None:
        """A device with an open epoch and an empty journal."""
        self.add(
            db.device, device_id=device_id, label=label, kind=kind, epoch=1, online=int(online),
            last_seen_at=seen_at, table_version=3, settings_version=1, state={},
        )  # fmt: skip
        chain = Hmac(DeviceKeys(_DEVICE_KEY).chain)
        head = records.genesis(DeviceKeys(_DEVICE_KEY).chain, device_id, 1)
        self.add(db.device_epoch, device_id=device_id, epoch=1, key_sealed=b"", head_mac=head)
        self._journals[device_id] = (chain, head, 1)

    def journal_goes_on(self, device_id: int, head_mac: bytes, next_seq: int) -> None:
        """Go on with a journal that stands in the store."""
        self._journals[device_id] = (Hmac(DeviceKeys(_DEVICE_KEY).chain), head_mac, next_seq)

    def pupil(
        self, account_id: int, last_name: str, first_name: str, class_id: int, *, adults: tuple[int, ...]
    ) -> None:
        """A pupil and who may see them."""
        person_id = self._person(last_name, first_name)
        self.add(
            db.pupil,
            account_id=account_id,
            person_id=person_id,
            external_id=f"S{account_id:08x}",
            class_id=class_id,
        )
        self.add(db.card, card_ref=card_ref(account_id), account_id=account_id, issued_at=at(9, 0, days=-300))
        for adult_id in adults:
            self.add(db.guardian, account_id=account_id, adult_id=adult_id, relation="мать")

    def adult(self, adult_id: int, last_name: str, first_name: str, phone: str) -> None:
        """A parent with a phone."""
        self.add(db.adult, adult_id=adult_id, person_id=self._person(last_name, first_name), phone=phone)

    def passage(
        self, device_id: int, account_id: int, when: int, *, out: bool = False, turned: bool = True
    ) -> int:
        """A tap at a gate and what the rotor did; returns the number of the second record."""
        way = records.PASS_OUT if out else 0
        bits = records.tap_aux(card_ref(account_id))
        opened = self.record(device_id, records.PASS, way | records.PASS_OPENED, when, account_id, aux=bits)
        stage = records.PASS_TURNED if turned else records.PASS_NOT_TURNED
        seq = self.record(device_id, records.PASS, way | stage, when, account_id, aux=opened)
        direction = "out" if out else "in"
        passage = attendance.Passage(
            device_id, 1, seq, account_id, self._times.day(when), when, when + 2, direction, turned
        )
        attendance.record_passages(self.conn, self.school_id, [passage])
        if turned:
            event = notifications.EXIT if out else notifications.ENTRY
            self._tell(event, account_id, device_id, seq, when)
        return seq

    def sale(
        self, device_id: int, account_id: int, when: int, good: int, amount_minor: int
    ) -> tuple[int, int]:
        """A sale at a line, on the books; returns (number of the record, entry_id)."""
        aux = records.good_aux(good, card_ref(account_id))
        seq = self.record(device_id, records.SALE, records.SALE_SINGLE, when, account_id, amount_minor, aux)
        lines = [(accounting.purse(account_id), -amount_minor), (accounting.CATERER, amount_minor)]
        entry = accounting.Entry(f"record:{device_id:08x}:1:{seq}", "sale", when, lines, device_id, 1, seq)
        result = accounting.post(self.conn, self.school_id, [entry], when + 2)[0]
        self._tell(notifications.PURCHASE, account_id, device_id, seq, when, ((good, 1),), amount_minor)
        return seq, result.entry_id

    def top_up(self, account_id: int, amount_minor: int, reference: str, when: int) -> int:
        """Money from the bank, as it said itself too; returns the entry_id."""
        said = statements.Line(reference, self._times.day(when), amount_minor)
        statements.keep(self.conn, self.school_id, statements.BANK, [said], "topups.csv", when)
        lines = [(accounting.BANK, -amount_minor), (accounting.purse(account_id), amount_minor)]
        entry = accounting.Entry(f"bank:{reference}", "topup", when, lines, reason=reference)
        return accounting.post(self.conn, self.school_id, [entry], when)[0].entry_id

    def record(
        self,
        device_id: int,
        kind: int,
        flags: int,
        when: int,
        account: int = 0,
        amount: int = 0,
        aux: int = 0,
        *,
        received_at: int | None = None,
    ) -> int:
        """Append a record to a device's journal, as the cloud keeps it; returns its number.

        It reached the cloud two seconds later, if `received_at` says nothing else.
        """
        chain, head, seq = self._journals[device_id]
        day = self._times.day(when) if when else 0
        body = records.pack_body(records.Record(kind, flags, day, seq, when, account, amount, aux))
        head = records.next_mac(chain, head, body)
        self._journals[device_id] = (chain, head, seq + 1)
        self.add(
            db.record, device_id=device_id, epoch=1, seq=seq, type=kind, flags=flags, day=day, time=when,
            account_id=account, amount=amount, aux=aux, raw=records.seal(body, head),
            received_at=when + 2 if received_at is None else received_at,
        )  # fmt: skip
        return seq

    def place(self, device_id: int, account_id: int, granted: int, *, spent: int = 0) -> None:
        """Money of a purse on a line, and what the line has sold of it."""
        self.add(
            db.spending_right, device_id=device_id, epoch=1, account_id=account_id, bucket=records.MONEY,
            granted=granted, spent=spent, journaled=granted, tabled=granted,
        )  # fmt: skip
        key = (device_id, 1, account_id, records.MONEY)
        moved = [accounting.Movement(*key, 1, granted, accounting.BY_TABLE, 3)]
        if spent:
            moved.append(accounting.Movement(*key, 3, spent, accounting.BY_RECORD, 6))
        accounting.move(self.conn, self.school_id, moved, NOW)

    def caterer_says(self, day_start: int, portions: int, amount_minor: int) -> None:
        """The caterer's statement of a day."""
        said = statements.Line(str(day_start), self._times.day(day_start), amount_minor, portions)
        statements.keep(self.conn, self.school_id, statements.CATERER, [said], "caterer.csv", day_start)

    def close(self, device_id: int, day_start: int, operations: int, last: int) -> None:
        """The device ends a day on which it wrote so many operations, `last` the newest."""
        self.record(device_id, records.CLOSE_DAY, 0, day_start + 86_399, 0, operations, last)

    def settle(self, unsent: dict[int, int]) -> None:
        """What the cloud knows of each journal now; `unsent`: records that a device still holds."""
        for device_id, (_, head, seq) in self._journals.items():
            epoch = db.device_epoch.c
            self.conn.execute(
                update(db.device_epoch)
                .where(epoch.device_id == device_id)
                .values(next_seq=seq, head_mac=head)
            )
            state = {"next_seq": seq + unsent.get(device_id, 0)}
            self.conn.execute(update(db.device).where(db.device.c.device_id == device_id).values(state=state))

    def _person(self, last_name: str, first_name: str) -> int:
        number = self._next_person
        self._next_person += 1
        self.add(db.person, person_id=number, last_name=last_name, first_name=first_name)
        return number

    def _tell(
        self,
        event: str,
        account_id: int,
        device_id: int,
        seq: int,
        when: int,
        goods: notifications.Goods = (),
        amount_minor: int = 0,
    ) -> None:
        fact = notifications.Happening(
            self.school_id, event, account_id, device_id, 1, seq, when, when + 2, goods, amount_minor
        )
        notifications.enqueue(self.conn, [fact])


def fill(conn: Connection) -> None:
    """The whole sample: four devices, three families, a morning and some weeks before it."""
    school = SampleSchool(conn)
    school.found()
    school.device(GATE_1, "gate-1", "gate", online=True, seen_at=NOW - 3)
    school.device(GATE_2, "gate-2", "gate", online=False, seen_at=at(7, 58))
    school.device(LINE_1, "line-1", "canteen", online=True, seen_at=NOW - 2)
    school.device(LINE_2, "line-2", "canteen", online=True, seen_at=NOW - 4)
    school.adult(1, "Лебедева", "Ольга", PHONE)
    school.adult(2, "Орлов", "Пётр", OTHER_PHONE)
    school.adult(3, "Константинопольская", "Елизавета", MANY_PHONE)
    school.adult(4, "Одинцова", "Вера", ALONE_PHONE)
    school.pupil(MASHA, "Лебедева", "Маша", 1, adults=(1,))
    school.pupil(VANYA, "Лебедев", "Ваня", 2, adults=(1,))
    school.pupil(ARTYOM, "Орлов", "Артём", 3, adults=(2,))
    school.pupil(LONG_NAME, "Константинопольская", "Александра-Виктория", 3, adults=(3,))
    school.pupil(SISTER, "Константинопольская", "Яна", 1, adults=(3,))
    _weeks_before(school)
    _morning(school)
    school.settle({GATE_2: 4})


def _weeks_before(school: SampleSchool) -> None:
    school.top_up(ARTYOM, 1_000_000, "Т-0", at(9, 0, days=-130))
    for day in range(-120, -90):
        school.sale(LINE_2, ARTYOM, at(9, 20, days=day), BREAKFAST, 6200)
        last, _entry = school.sale(LINE_2, ARTYOM, at(12, 40, days=day), LUNCH, 9600)
        school.close(LINE_2, at(0, 0, days=day), 2, last)
    for day, portions in ((-92, 3), (-91, 2)):
        school.caterer_says(at(0, 0, days=day), portions, 6200 + 9600 * (portions - 1))
    school.top_up(MASHA, 59_050, "Т-1", at(18, 5, days=-1))
    school.top_up(VANYA, 120_400, "Т-2", at(18, 6, days=-1))
    school.top_up(LONG_NAME, 123_456_700, "Т-3", at(18, 7, days=-1))


def _morning(school: SampleSchool) -> None:
    school.record(GATE_2, records.BOOT, 0, at(7, 0), account=0x55556666, aux=0x77778888)
    for device_id in (GATE_1, LINE_1):
        school.record(device_id, records.BOOT, 0, at(7, 1), account=0x11112222, aux=0x33334444)
        school.record(device_id, records.TABLE, records.TABLE_ACCOUNTS, at(7, 2), aux=3)
    school.passage(GATE_1, LONG_NAME, at(7, 48), turned=False)
    school.passage(GATE_1, LONG_NAME, at(7, 49))
    school.passage(GATE_1, MASHA, at(8, 12))
    school.passage(GATE_1, ARTYOM, at(8, 20))
    school.record(
        GATE_1, records.NOTE, records.NOTE_REFUSED_TAP, at(8, 21), amount=21, aux=0x0BADCAFE
    )  # a card nobody knows
    school.record(LINE_1, records.GRANT, 0, at(9, 34), account=MASHA, amount=50_000)
    school.sale(LINE_1, MASHA, at(9, 35), BREAKFAST, 6200)
    school.sale(LINE_1, LONG_NAME, at(9, 36), BREAKFAST, 6200)
    school.passage(GATE_1, ARTYOM, at(11, 5), out=True)
    school.sale(LINE_1, MASHA, at(11, 42), LUNCH, 9600)
    school.place(LINE_1, MASHA, 50_000, spent=15_800)
    school.place(LINE_1, VANYA, 50_000)
    school.add(db.device_refusal, device_id=LINE_2, code=56, count=2, last_at=at(10, 2))


def make(folder: Path) -> Config:
    """A data folder with this school, ready for create_app; its clock stands at NOW."""
    config = Config(data_dir=folder, demo=True, demo_token="sample")
    config.write()
    Vault(config.keys_dir)
    engine = db.engine(config.database_url)
    migrations.upgrade(engine)
    with db.begin(engine) as conn:
        fill(conn)
    engine.dispose()
    return config
