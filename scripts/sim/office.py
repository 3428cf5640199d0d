"""What people do with the cloud of the simulation: found the school, enrol devices, publish, top up, release.

Promises: everything goes through the product's own services, as the office, the bank's import and the
engineer would; leaves messages, kills and restores to cloud.py.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from sqlalchemy import Engine

from cloud import bulk, csv_file, db
from cloud.accounting import service as accounting
from cloud.cards import service as cards
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.meals import service as meals
from cloud.payouts import service as payouts
from firmware.hal.board import Provision
from protocols.card import credential
from protocols.errors import PAYOUTS_HELD
from protocols.money import text_from_minor
from scripts.sim.heap import Heap
from scripts.sim.town import Deposit, Town

# name, from minute, to minute, price: what the school sells; the hours between sell nothing.
MENU = (
    (1, "Завтрак", "breakfast", 480, 659, 8_500),
    (2, "Обед", "lunch", 690, 839, 16_000),
    (3, "Полдник", "snack", 900, 1019, 5_500),
)
ZONE = "Europe/Moscow"
# A file of the bank begins so many lines before the first that is new.
# Longer than ingest waits until it says a confirmed day again.
_AGAIN_MS = 61_000
_KNOWN_LINES = 40


class Office:
    """The half of the cloud that people use."""

    heap: Heap
    engine: Engine
    vault: Vault
    school: int
    down: bool
    archive: Any
    bank_is_late: bool
    complain: Any
    _town: Town
    _chance: Random
    _menus: list[list[meals.Item]]
    refunds_seen = 0
    """The last entry that note_refunds() has seen; 0 again after a restore."""
    payouts_wait = False
    """The archive was lost, and nobody has compared the payouts with the bank yet."""
    payouts_seen = 0
    """The same of pay_back()."""
    bank_read = 0
    """Lines of the bank's account that the database has seen in its files, from the first without a gap."""
    menus_read = 0
    """Menus, likewise."""

    def work_soon(self) -> None:
        """Ingest looks for work that was left for it."""
        raise NotImplementedError

    @property
    def payouts_held(self) -> bool:
        """Whether the cloud pays nothing back until a person has looked."""
        return bool(self.select("SELECT count(*) FROM payout_hold WHERE released_at IS NULL")[0][0])

    @property
    def in_recovery(self) -> bool:
        """Whether the school waits for its devices' journals after a restore."""
        raise NotImplementedError

    def select(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a question of the simulator itself."""
        raise NotImplementedError

    # The school, once

    def found_school(self) -> None:
        """School, classes, pupils with a card each, menu."""
        school, town = self.school, self._town
        with db.begin(self.engine) as conn:
            columns = ["school_id", "name", "time_zone", "incarnation_id"]
            number = self._chance.randrange(1, 1 << 32)
            bulk.insert_rows(conn, db.school, [(school, "school", ZONE, number)], columns)
            classes = [(school, number, f"class {number}", None) for number in range(1, 9)]
            bulk.insert_rows(conn, db.school_class, classes)
            people = [(school, pupil.account, "last", "first", "") for pupil in town.pupils]
            bulk.insert_rows(conn, db.person, people)
            pupils = [
                (school, pupil.account, pupil.account, pupil.external_id, 1 + place % 8, 1, "active")
                for place, pupil in enumerate(town.pupils)
            ]
            bulk.insert_rows(conn, db.pupil, pupils)
            key = self.vault.reference_key(school)
            cards = [
                (school, credential.card_ref(key, pupil.card), pupil.account, "card", "active", 0,
                 int(pupil.is_protected), int(not pupil.is_protected))
                for pupil in town.pupils
            ]  # fmt: skip
            columns = [
                "school_id", "card_ref", "account_id", "kind", "status", "issued_at", "protected", "weak",
            ]  # fmt: skip
            bulk.insert_rows(conn, db.card, cards, columns)
            goods = [
                (school, good, name, meal, since, to, price) for good, name, meal, since, to, price in MENU
            ]
            bulk.insert_rows(conn, db.good, goods)

    def choose_settings(self) -> None:
        """Each seed is another kind of school: strict or with slack, fixed moment or at once, any CAP."""
        chance, town = self._chance, self._town
        town.cap = chance.choice((20_000, 50_000, 50_000, 90_000))
        town.slack = chance.choice((0, 0, 0, 16_000))
        with db.begin(self.engine) as conn:
            devices.set_settings(
                conn, self.school, self.heap.wall_s, kinds=("canteen",), cap_minor=town.cap,
                slack_minor=town.slack, fixed_moment=bool(chance.randrange(2)),
                offline_at_once=bool(chance.randrange(2)),
                verdict_ms=chance.choice((250, 400, 400, 400, 1_000)),
            )  # fmt: skip

    def entitle(self) -> None:
        """A school with or without meal credit, and pupils whose lunch or breakfast the city pays."""
        chance, town = self._chance, self._town
        town.credit_slack = min(town.cap, chance.choice((0, 16_000, 32_000)))
        if chance.randrange(4):
            town.entitled = {
                (pupil.account, meal) for pupil in town.pupils for meal in (1, 2) if not chance.randrange(4)
            }
        rows = [
            (self.school, account, meal, 0, 0xFFFF, "city", "all", "", 0)
            for account, meal in sorted(town.entitled)
        ]
        with db.begin(self.engine) as conn:
            devices.set_settings(conn, self.school, self.heap.wall_s, credit_minor=town.credit_slack)
            bulk.insert_rows(conn, db.entitlement, rows)

    def note_refunds(self) -> None:
        """Tell the town what the fund has given back since the last time."""
        if not self._town.entitled:
            return
        newest = self.select("SELECT max(entry_id) FROM entry WHERE school_id = ?", (self.school,))[0][0] or 0
        if newest <= self.refunds_seen:
            return
        # CROSS JOIN: only from what is new, whatever the planner thinks of the rest.  A sale that was taken
        # back takes its re-rating with it.
        statement = (
            "SELECT f.external_key, sum(p.amount_minor) * (e.kind = 'rerate') FROM entry e"
            " CROSS JOIN entry f ON f.school_id = e.school_id AND f.kind = 'rerate'"
            " AND f.corrects = e.corrects CROSS JOIN posting p"
            " ON p.school_id = f.school_id AND p.entry_id = f.entry_id JOIN ledger_account a"
            " ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
            " WHERE e.school_id = ? AND e.entry_id > ? AND e.kind IN ('rerate', 'reversal')"
            " AND e.corrects <> '' AND (a.code LIKE 'purse:%' OR a.code LIKE 'credit:%')"
            " GROUP BY e.entry_id, f.entry_id ORDER BY e.entry_id"
        )
        for key, amount in self.select(statement, (self.school, self.refunds_seen)):
            _word, account, day, meal = key.split(":")[:4]
            self._town.refund(int(account, 16), int(day), int(meal), amount)
        self.refunds_seen = newest

    def change_prices(self) -> None:
        """A new menu: the same meals, some dearer or cheaper."""
        with db.begin(self.engine) as conn:
            items = [
                meals.Item(
                    item.name,
                    item.from_minute,
                    item.to_minute,
                    self._chance.choice((5_500, 8_500, 12_000, 16_000)),
                )
                for item in meals.menu(conn, self.school)
            ]
            if self.menus_read == len(self._menus):
                self.menus_read += 1
            self._menus.append(items)
            meals.set_menu(conn, self.school, items)
            devices.publish_settings(conn, self.school, self.heap.wall_s)
        self.work_soon()

    def publish_old_prices(self) -> None:
        """Every menu that a restored cloud has forgotten, in its order."""
        with db.begin(self.engine) as conn:
            for items in self._menus[self.menus_read :]:
                meals.set_menu(conn, self.school, items)
                devices.publish_settings(conn, self.school, self.heap.wall_s)
        self.menus_read = len(self._menus)
        self.work_soon()

    def give_second_card(self, account: int, card: str) -> None:
        """Another card for a purse."""
        with db.begin(self.engine) as conn:
            cards.issue(conn, self.vault, self.school, account, card, self.heap.wall_s)

    def register(self, label: str, kind: str) -> Provision:
        """A new device with its key."""
        with db.begin(self.engine) as conn:
            values = devices.register(
                conn,
                self.vault,
                self.school,
                label,
                kind,
                self.heap.wall_s,
                random_bytes=self._chance.randbytes,
            )
        return provision_of(values)

    def new_epoch(self, label: str, *, journal_read: bool = False) -> Provision:
        """The same device again with a new key."""
        with db.begin(self.engine) as conn:
            values = devices.new_epoch(
                conn, self.vault, self.school, label, self.heap.wall_s, journal_read=journal_read,
                random_bytes=self._chance.randbytes,
            )  # fmt: skip
        return provision_of(values)

    def lose(self, label: str) -> None:
        """The office says that a device is lost."""
        with db.begin(self.engine) as conn:
            devices.lost(conn, self.vault, self.school, label, self.heap.wall_s)

    def release(self, label: str) -> None:
        """The office sets aside what the lost epochs of a device may have spent."""
        with db.begin(self.engine) as conn:
            devices.release(conn, self.vault, self.school, label, self.heap.wall_s)

    def epochs_waiting(self, label: str) -> bool:
        """Whether a device has lost epochs that nobody released."""
        statement = (
            "SELECT count(*) FROM device_epoch e JOIN device d ON d.device_id = e.device_id"
            " WHERE d.label = ? AND e.status IN ('lost', 'quarantined')"
        )
        return bool(self.select(statement, (label,))[0][0])

    # What the office and the bank do

    def confirm_day(self, label: str) -> None:
        """A person has looked at a device whose day is wrong."""
        with db.begin(self.engine) as conn:
            asked = devices.Asked("sim", "the day was wrong")
            devices.confirm_day(conn, self.school, label, asked, self.heap.wall_s)
        self.work_soon()
        # A message that was lost is sent again.
        self.heap.after(_AGAIN_MS, self.work_soon)

    def command(self, label: str, kind: str, direction: str) -> None:
        """Somebody opens a gate from far away, or looks for a device."""
        with db.begin(self.engine) as conn:
            asked = devices.Asked("sim", "somebody stands at the gate")
            devices.command(conn, self.school, label, kind, asked, self.heap.wall_s, direction)
        self.work_soon()

    def publish_tables(self) -> None:
        """Place money and give every device a new table."""
        if self.down:
            return
        with db.begin(self.engine) as conn:
            devices.publish_tables(conn, self.vault, self.school, self.heap.wall_s)
        self.note_refunds()
        self.work_soon()

    def top_up(self, line: Deposit) -> None:
        """The bank's line comes in, perhaps again."""
        with db.begin(self.engine) as conn:
            accounting.top_up(
                conn, self.school, line.account, line.amount_minor, line.reference, self.heap.wall_s
            )
        self.work_soon()

    def top_up_file(self, lines: list[Deposit]) -> None:
        """A file of the bank comes in: lines that are known change nothing."""
        numbers = {pupil.account: pupil.external_id for pupil in self._town.pupils}
        rows = [
            csv_file.Row(
                place,
                {
                    "student_id": numbers[line.account],
                    "amount_rub": text_from_minor(line.amount_minor),
                    "bank_ref": line.reference,
                },
            )
            for place, line in enumerate(lines, 2)
        ]
        with db.begin(self.engine) as conn:
            table = csv_file.Table("topups.csv", rows, [])
            applied = accounting.import_topups(conn, self.school, table, self.heap.wall_s)
        for problem in applied.problems:
            self.complain("I7", f"a line of the bank was not taken: {problem.reason}")
        self.work_soon()

    def ask_back(self, key: str) -> bool:
        """The office asks for money back, perhaps again; False when it has to ask once more."""
        account, amount_minor = self._town.asked_back[key]
        if self.down or self.in_recovery:
            return False
        try:
            with db.begin(self.engine) as conn:
                payouts.request(
                    conn, self.archive, self.school, account, amount_minor,
                    key=key, reason="leaves", asked_by="office", now=self.heap.wall_s,
                )  # fmt: skip
        except payouts.PayoutRefused as refused:
            return refused.code != PAYOUTS_HELD
        except OSError:
            return False
        self.pay_back()
        return True

    def pay_back(self) -> None:
        """One step of the worker; what it ordered of the bank is done."""
        if self.down:
            return
        with suppress(OSError), db.begin(self.engine) as conn:
            payouts.step(conn, self.archive, self.school, self.heap.wall_s)
        # CROSS JOIN: only from what is new, whatever the planner thinks of the rest.
        statement = (
            "SELECT e.external_key, a.code, -p.amount_minor FROM entry e CROSS JOIN posting p"
            " ON p.school_id = e.school_id AND p.entry_id = e.entry_id JOIN ledger_account a"
            " ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
            " WHERE e.school_id = ? AND e.entry_id > ? AND e.kind = 'payout' AND a.code LIKE 'purse:%'"
            " ORDER BY e.entry_id"
        )
        newest = self.select("SELECT max(entry_id) FROM entry WHERE school_id = ?", (self.school,))[0][0] or 0
        for order, code, amount_minor in self.select(statement, (self.school, self.payouts_seen)):
            self._town.pay_out(order, int(code.removeprefix("purse:"), 16), amount_minor)
        self.payouts_seen = newest
        self.work_soon()

    def end_forgotten_payouts(self) -> bool:
        """Payouts are held: a person compares them with the bank, and lets them go on.

        Where the archive was lost, parts of what is open may be forgotten: all of it is ended.  False when it
        has to be tried again.
        """
        if self.down or not self.payouts_held:
            return not self.down
        try:
            with db.begin(self.engine) as conn:
                for one in payouts.payouts(conn, self.school, only_open=True) if self.payouts_wait else ():
                    payouts.cancel(conn, self.archive, self.school, one.external_key, self.heap.wall_s)
                payouts.release(
                    conn, self.archive, self.school, who="office", reason="compared", now=self.heap.wall_s
                )
        except OSError:
            return False
        self.payouts_wait = False
        return True

    def import_bank(self) -> None:
        """What the bank says about the time since its last file, and a little of what came before."""
        bank = self._town.bank
        self.top_up_file(bank[max(0, self.bank_read - _KNOWN_LINES) :])
        self.bank_read = len(bank)
        self.bank_is_late = False


def provision_of(values: dict[str, Any]) -> Provision:
    """What a board gets of a provisioning record."""
    return Provision(
        school=values["school"], device=values["device"], epoch=values["epoch"], kind=values["kind"],
        key=bytes.fromhex(values["key"]), reference_key=bytes.fromhex(values["reference_key"]),
    )  # fmt: skip
