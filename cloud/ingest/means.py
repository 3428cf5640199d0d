"""What grants are decided by, over one batch: balances, CAP_DEVICE and the rules of a school.

Promises: each is read once in a batch, and again after the books moved; a key's
free is its balance and slack less what is out of it.
"""

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.devices import service as devices
from cloud.ingest import store
from cloud.ingest.fleet import Device
from cloud.ingest.rights import Rights
from cloud.payouts import service as payouts
from protocols.ledger import parent, record

BALANCED = (record.MONEY, record.MEAL_CREDIT)
"""Buckets whose balance is an account of the books."""


class Means:
    """Reads with the batch's connection and sees the batch's rights."""

    def __init__(self, conn: Connection, rights: Rights, now: int) -> None:
        self._conn = conn
        self._rights = rights
        self._now = now
        self._balances: dict[tuple[int, int, int], int] = {}
        self._reserved: dict[tuple[int, int], int] = {}
        self._rooms: dict[tuple[int, int], int] = {}
        self._rules: dict[int, devices.MoneyRules] = {}

    def read_balances(self, school_id: int, account_ids: list[int]) -> None:
        """Read the purses and credits of these accounts as they are now."""
        codes = {accounting.purse(account_id): (account_id, record.MONEY) for account_id in account_ids}
        codes |= {accounting.credit(account): (account, record.MEAL_CREDIT) for account in account_ids}
        for code, balance in accounting.balances(self._conn, school_id, codes).items():
            self._balances[(school_id, *codes[code])] = balance
        reserved = payouts.reserved(self._conn, school_id, account_ids)
        self._reserved.update({(school_id, account): amount for account, amount in reserved.items()})

    def reserved(self, school_id: int, account_id: int, bucket: int) -> int:
        """What a purse that was read must not give to devices: what its open payouts still want, and what its
        meal credit lacks for rights that are out, when a restore has forgotten a repayment.  Nothing of other
        buckets.
        """
        if bucket != record.MONEY:
            return 0
        out = self._rights.out(school_id, account_id, record.MEAL_CREDIT)
        credit = self.balance(school_id, account_id, record.MEAL_CREDIT)
        slack = self.rules(school_id).credit_highest_minor
        return self._reserved.get((school_id, account_id), 0) + parent.uncovered(credit, slack, out)

    def spendable(self, school_id: int, account_id: int) -> int:
        """What a purse holds beside all rights that are out."""
        self._rights.read(self._conn, [(school_id, account_id)])
        balance = accounting.balances(self._conn, school_id, [accounting.purse(account_id)])
        return sum(balance.values()) - self._rights.out(school_id, account_id, record.MONEY)

    def balance(self, school_id: int, account_id: int, bucket: int) -> int:
        """The balance of a key that was read."""
        return self._balances[school_id, account_id, bucket]

    def room(self, device: Device) -> int:
        """CAP_DEVICE less what all rights of a device are worth."""
        room = self._rooms.get(device.key)
        if room is None:
            self._rights.write(self._conn, self._now)  # what this batch changed counts too
            worth = devices.benefit_minor(self._conn, device.school_id)
            held = store.held_by(self._conn, *device.key, device.epoch, worth)
            room = self._rooms[device.key] = self.rules(device.school_id).cap_device_minor - held
        return room

    def rules(self, school_id: int) -> devices.MoneyRules:
        """The bounds that a school has set."""
        rules = self._rules.get(school_id)
        if rules is None:
            rules = self._rules[school_id] = devices.money_rules(self._conn, school_id)
        return rules

    def take_room(self, device: Device, more: int) -> None:
        """So much of the room that was asked for is used."""
        self._rooms[device.key] -= more

    def free(self, school_id: int, account_id: int, bucket: int) -> int:
        """What covers the rights that are out under a key of money or credit, beside them."""
        slack, out = self.rules(school_id).slack(bucket), self._rights.out(school_id, account_id, bucket)
        return parent.free(self.balance(school_id, account_id, bucket), slack, out)
