"""The ground truth: the bank, the pupils, the cards, and every sale that truly happened.

Promises: knows nothing of what the cloud or a device believes.  Money that truly moved: deposits at the bank,
payouts to parents, and each SALE and VOID that became durable in a device's flash.  Rights are folded a
second time here, record by record, independent of the firmware's own counters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from protocols.ledger import record


class Pupil(NamedTuple):
    """`account` in the books, `card`: canonical credential, `external_id`: the school's own number."""

    account: int
    card: str
    external_id: str

    @property
    def is_protected(self) -> bool:
        """Whether the card proves itself: no daily limit holds for it."""
        return self.card.startswith("app:")


class Deposit(NamedTuple):
    """A line of the bank's file; the bank keeps it for ever, whatever happens to the cloud."""

    reference: str
    account: int
    amount_minor: int


def _card(place: int, number: int) -> str:
    """Every third card is a number that can be copied, the others prove themselves."""
    return f"app:4B4B01:{number:016X}" if place % 3 else f"a:04{number:012X}"


HolderKey = tuple[int, int, int]
"""(serial number of the physical flash, account, bucket)"""


class Town:
    """`cap`: CAP that the school has set; `complain(invariant, text)` is told of what must not be."""

    def __init__(self, accounts: int, chance: Random, complain: Callable[[str, str], None]) -> None:
        self._complain = complain
        self.cap = 50_000
        self.pupils = [
            Pupil(chance.randrange(1, 1 << 32), _card(number, chance.randrange(1 << 48)), f"{number + 1:05}")
            for number in range(accounts)
        ]
        self.second_cards: dict[int, str] = {}
        self.stranger = f"a:08{chance.randrange(1 << 24):06X}"
        self.bank: list[Deposit] = []
        self.paying_nothing: set[int] = set()
        """Accounts whose parents pay nothing in for now."""
        self.deposited: defaultdict[int, int] = defaultdict(int)
        self.paid_out: defaultdict[int, int] = defaultdict(int)
        self.asked_back: dict[str, tuple[int, int]] = {}
        """Requests for money back, by their key: (account, minor units)."""
        self._transfers: dict[str, tuple[int, int]] = {}
        self.spent: defaultdict[int, int] = defaultdict(int)
        """Net true sales out of money: sales less voids, minor units."""
        self.owed: defaultdict[int, int] = defaultdict(int)
        """Net true sales out of meal credit."""
        self.exposure: defaultdict[int, int] = defaultdict(int)
        """How far a lost, cloned or rolled-back holder may have driven an account into debt."""
        self.slack = 0
        self.credit_slack = 0
        """What each pupil may owe for hot meals."""
        self.entitled: set[tuple[int, int]] = set()
        """(account, hot meal) that the city pays on every day."""
        self.refunded: dict[tuple[int, int, int], int] = {}
        """(account, day, hot meal) to what the fund gave back for a meal that was truly eaten."""
        self.refunds: defaultdict[int, int] = defaultdict(int)
        self.sales = 0
        self.sales_minor = 0
        self.baskets = 0
        self.voids = 0
        self._rights: defaultdict[HolderKey, int] = defaultdict(int)
        self._granted: defaultdict[HolderKey, int] = defaultdict(int)
        self._forgotten: defaultdict[HolderKey, int] = defaultdict(int)
        self._returned: defaultdict[HolderKey, int] = defaultdict(int)
        self._voided: set[tuple[int, int]] = set()
        self.latest_day: defaultdict[int, int] = defaultdict(int)
        """The latest day of a flash's records, also of one that was taken back."""
        self._items: defaultdict[int, list[record.Record]] = defaultdict(list)
        """The ITEMs right ahead of what a flash writes next."""

    # The bank

    def deposit(self, account: int, amount_minor: int) -> Deposit:
        """A parent pays; the bank's line is the truth from now on."""
        line = Deposit(f"B{len(self.bank) + 1:07}", account, amount_minor)
        self.bank.append(line)
        self.deposited[account] += amount_minor
        return line

    def ask_back(self, account: int, amount_minor: int) -> str:
        """A parent wants money back; the key of the request."""
        key = f"R{len(self.asked_back) + 1:05}"
        self.asked_back[key] = account, amount_minor
        return key

    def pay_out(self, order: str, account: int, amount_minor: int) -> None:
        """The cloud's order to the bank: one transfer each, and no request is paid more than it wants."""
        if order in self._transfers:
            if self._transfers[order] != (account, amount_minor):
                self._complain("I7", f"order {order} came again with another amount or purse")
            return
        self._transfers[order] = account, amount_minor
        self.paid_out[account] += amount_minor
        request = order.split(":")[1]
        paid = sum(row[1] for key, row in self._transfers.items() if key.split(":")[1] == request)
        wanted = self.asked_back[request]
        if account != wanted[0] or paid > wanted[1]:
            self._complain("I7", f"request {request} wants {wanted}, {paid} was paid to {account:08x}")

    def transfers(self) -> dict[str, tuple[int, int]]:
        """Every order that the bank carried out: (account, minor units)."""
        return dict(self._transfers)

    def balance(self, account: int) -> int:
        """What an account truly has, minor units; negative is debt."""
        paid = self.paid_out[account] + self.spent[account] + self.owed[account]
        return self.deposited[account] + self.refunds[account] - paid

    def refund(self, account: int, day: int, meal: int, amount_minor: int) -> None:
        """The fund gives the price of a meal back; a restored cloud says so again.

        Which of several is the first meal of the day follows from the journals that are left: it may then be
        one of another price, and that is what the fund has truly given.
        """
        before = self.refunded.get((account, day, meal), 0)
        self.refunded[account, day, meal] = amount_minor
        self.refunds[account] += amount_minor - before

    # What devices truly did

    def follow(self, flash: int, item: record.Record) -> None:
        """One record became durable in a flash: fold it, and look at I1, I3 and I9 at once."""
        self.latest_day[flash] = max(self.latest_day[flash], item.day)
        items = self._items.pop(flash, [])
        if item.type == record.ITEM:
            self._items[flash] = [*items, item]
        elif item.type == record.SALE:
            if not item.flags & record.SALE_SINGLE:
                self._follow_basket(items, item)
            self._follow_sale(flash, item, 1)
        elif item.type == record.VOID:
            if (flash, item.aux) in self._voided:
                self._complain("I9", f"sale {item.aux} was voided twice on one device")
            self._voided.add((flash, item.aux))
            self._follow_sale(flash, item, -1)
        elif item.type == record.GRANT:
            self._follow_total(self._granted, (flash, item.account, item.aux), item.amount, 1)
        elif item.type == record.RETURN:
            self._follow_total(self._returned, (flash, item.account, item.aux), item.amount, -1)

    def _follow_basket(self, items: list[record.Record], sale: record.Record) -> None:
        """A basket takes what its items come to, and they are one person's."""
        self.baskets += 1
        counted = items[-(sale.aux & 0xFFFF) :]
        price = sum((item.aux >> 16) * item.amount for item in counted)
        if (price, {item.account for item in counted}) != (sale.amount, {sale.account}):
            self._complain(
                "I7", f"the items of a basket come to {price}, its sale {sale.seq} takes {sale.amount}"
            )

    def _follow_total(
        self, totals: defaultdict[HolderKey, int], key: HolderKey, total: int, sign: int
    ) -> None:
        step = total - totals[key]
        if step > 0:
            totals[key] = total
            self._move(key, sign * step)

    def _follow_sale(self, flash: int, item: record.Record, sign: int) -> None:
        bucket = record.bucket_of(item)
        self._move((flash, item.account, bucket), -sign * record.units_of(item))
        if sign > 0:
            self.sales += 1
            self.sales_minor += item.amount
        else:
            self.voids += 1
        if bucket not in (record.MONEY, record.MEAL_CREDIT):
            return
        (self.spent if bucket == record.MONEY else self.owed)[item.account] += sign * item.amount
        debt = -self.balance(item.account)
        if debt > self.slack + self.credit_slack + self.exposure[item.account]:
            self._complain("I1", f"account {item.account:08x} truly owes {debt}")

    def _move(self, key: HolderKey, step: int) -> None:
        now = self._rights[key] = self._rights[key] + step
        if not -self._forgotten.get(key, 0) <= now <= self.cap:
            self._complain("I3", f"account {key[1]:08x} bucket {key[2]}: rights {now} on one device")

    def may_be_forgotten(self, flash: int, item: record.Record) -> None:
        """A durable sale may be unknown to its own device from now on: so much is its exposure."""
        if item.type == record.SALE:
            self._forgotten[flash, item.account, record.bucket_of(item)] += record.units_of(item)
            self.exposure[item.account] += item.amount

    def granted(self, flash: int) -> dict[tuple[int, int], int]:
        """(account, bucket) to the G total in a flash."""
        return {key[1:]: total for key, total in self._granted.items() if key[0] == flash}

    def granted_in_money(self, flash: int) -> Iterator[tuple[int, int, int]]:
        """(account, G total, rights left) of each purse in a flash."""
        for key, total in self._granted.items():
            if key[0] == flash and key[2] == record.MONEY:
                yield key[1], total, self._rights[key]

    def granted_to(self, flash: int, account: int, bucket: int) -> int:
        """The G total of one key in a flash."""
        return self._granted.get((flash, account, bucket), 0)

    def rights_of(self, flash: int) -> dict[tuple[int, int], int]:
        """(account, bucket) to the rights that a flash's records leave."""
        return {key[1:]: value for key, value in self._rights.items() if key[0] == flash}

    def adopt(self, flash: int, records: list[bytes]) -> None:
        """A flash begins with records that another one wrote: its rights follow, nothing is sold again."""
        quiet = Town(0, Random(0), lambda invariant, text: None)
        quiet.cap = 1 << 40
        for raw in records:
            quiet.follow(flash, record.unpack(raw))
        self.latest_day[flash] = quiet.latest_day[flash]
        for mine, its in (
            (self._rights, quiet._rights), (self._granted, quiet._granted), (self._returned, quiet._returned),
        ):  # fmt: skip
            mine.update(its)
        self._voided |= quiet._voided

    def expose(self, minor: int) -> None:
        """A holder exists twice, or went back in time: each account may be overdrawn by so much more (I1)."""
        for pupil in self.pupils:
            self.exposure[pupil.account] += minor + self.credit_slack
