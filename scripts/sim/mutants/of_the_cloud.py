"""Bugs of the cloud: ingest, placement, books."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import IntegrityError

from cloud.accounting import service as accounting
from cloud.benefits import settle
from cloud.ingest import batch, chain, replay, store
from protocols.errors import OK
from protocols.ledger import parent, record
from protocols.ledger.holder import Counters
from protocols.wire import messages
from scripts.sim.mutants import Overlay, Patches, mutant


@mutant("a repeated batch is posted twice", "link_drop", "kill_before_publish", "message_double")
def batch_posted_twice(patches: Patches) -> None:
    """Records that are known are taken as new, and no key says that they are the same."""
    numbers = itertools.count()

    def take(chain_key: Any, next_seq: int, head_mac: bytes, recs: Any, known: Any) -> Any:
        if recs.from_seq < next_seq:
            return chain.Taken(recs.raw, head_mac, OK)
        return original(chain_key, next_seq, head_mac, recs, known)

    def post(conn: Any, school_id: int, entries: Any, now: int) -> Any:
        renamed = [entry._replace(external_key=f"{entry.external_key}:{next(numbers)}") for entry in entries]
        return accounting.post(conn, school_id, renamed, now)

    original = chain.take
    patches.replace(chain, "take", take)
    patches.replace(batch, "accounting", Overlay(accounting, post=post))
    patches.wrap(store, "add_records", _only_new)
    patches.wrap(batch.Batch, "_recs", _seq_does_not_run_away)


def _only_new(original: Any) -> Any:
    def add_records(conn: Any, rows: Any) -> None:
        for row in rows:
            # The table itself knows its keys; the bug is in the books.
            with suppress(IntegrityError):
                original(conn, [row])

    return add_records


def _seq_does_not_run_away(original: Any) -> Any:
    def recs(self: Any, message: Any) -> None:
        body = messages.unpack_recs(message.body)
        before = message.device.next_seq
        original(self, message)
        message.device.next_seq = max(before, min(message.device.next_seq, body.from_seq + body.count))

    return recs


@mutant("acknowledges what it did not post", "message_loss", "link_drop", "message_reorder")
def acks_what_it_did_not_post(patches: Patches) -> None:
    """A gap in the journal is gone over: what lies behind it is acknowledged, and the journal goes on."""

    def make(original: Any) -> Any:
        def recs(self: Any, message: Any) -> None:
            original(self, message)
            body, device = messages.unpack_recs(message.body), message.device
            if body.from_seq > device.next_seq:
                device.next_seq, device.head_mac = body.from_seq + body.count, bytes(body.head_mac)
                device.moved = True

        return recs

    patches.wrap(batch.Batch, "_recs", make)


@mutant("a grant ignores the escrow of other devices", "card_between_tills", "partition_device")
def grant_ignores_other_escrow(patches: Patches) -> None:
    """free is the balance alone."""
    patches.replace(parent, "free", lambda balance, slack, out, reserved=0: balance + slack - reserved)


@mutant("a payout ignores what tills hold", "refund_while_offline")
def payout_ignores_escrow(patches: Patches) -> None:
    """All that the purse holds is paid at once."""
    patches.replace(parent, "payable", lambda outstanding, balance, out: max(0, min(outstanding, balance)))


@mutant("CAP is not checked at a grant", "tables_again", "bank_file_again")
def cap_not_checked(patches: Patches) -> None:
    """A holder is given all that is free."""

    def grantable(wanted: int, spendable: int, held: int, cap: int, room: int) -> int:
        return max(0, min(1_000_000 if wanted == cap else wanted, spendable, room))

    patches.replace(parent, "grantable", grantable)


@mutant("an invented GRANT is honoured", "hostile_grant")
def invented_grant_honoured(patches: Patches) -> None:
    """What a device says it was granted, it was granted."""

    def make(original: Any) -> Any:
        def follow(self: Any, device: Any, item: record.Record, *others: Any) -> Any:
            if item.type == record.GRANT:
                right = self._rights.touch((*device.key, device.epoch, item.account, item.aux))
                granted = max(right.counters.granted, item.amount)
                right.counters = right.counters._replace(granted=granted)
            return original(self, device, item, *others)

        return follow

    patches.wrap(replay.Replay, "_right", make)


@mutant("a negative sale is posted", "hostile_sale")
def negative_sale_posted(patches: Patches) -> None:
    """The amount's sign is not looked at: a till makes money for its friends."""

    def make(original: Any) -> Any:
        def replayed(counters: Counters, item: record.Record, *others: Any) -> Any:
            if item.type == record.SALE and item.amount < 0:
                return OK, counters
            return original(counters, item, *others)

        return replayed

    patches.wrap(parent, "replay", make)

    def sale(original: Any) -> Any:
        def follow(self: Any, device: Any, item: record.Record, capable: int, found: Any) -> Any:
            if item.amount < 0:
                lines = ((accounting.purse(item.account), -item.amount), (accounting.CATERER, item.amount))
                key = f"record:{device.device_id}:{item.seq}"
                found.entries.append(accounting.Entry(key, "sale", item.time, lines))
                return OK
            return original(self, device, item, capable, found)

        return follow

    patches.wrap(replay.Replay, "_sale", sale)


@mutant("a broken chain is posted", "hostile_chain")
def broken_chain_posted(patches: Patches) -> None:
    """The records of a right envelope are believed without their chain."""

    def take(chain_key: Any, next_seq: int, head_mac: bytes, recs: Any, known: Any) -> Any:
        if recs.from_seq == next_seq:
            return chain.Taken(recs.raw, recs.head_mac, OK)
        return original(chain_key, next_seq, head_mac, recs, known)

    original = chain.take
    patches.replace(chain, "take", take)


@mutant("a sale without rights is taken from the purse", "hostile_sale_without_rights")
def sale_without_rights_posted(patches: Patches) -> None:
    """The cloud does not count S <= G - R + V again."""

    def make(original: Any) -> Any:
        def replayed(counters: Counters, item: record.Record, *others: Any) -> Any:
            if item.type == record.SALE and item.amount > 0:
                return OK, counters._replace(spent=counters.spent + record.units_of(item))
            return original(counters, item, *others)

        return replayed

    patches.wrap(parent, "replay", make)


@mutant("a restored cloud ignores GRANTs it does not know", "hostile_grant")
def unknown_grants_ignored(patches: Patches) -> None:
    """They are not even reserved."""

    def make(original: Any) -> Any:
        def follow(self: Any, device: Any, item: record.Record, *others: Any) -> Any:
            if item.type != record.GRANT:
                return original(self, device, item, *others)
            right = self._rights.touch((*device.key, device.epoch, item.account, item.aux))
            right.journaled = min(item.amount, right.counters.granted)
            return OK

        return follow

    patches.wrap(replay.Replay, "_right", make)


@mutant("the fund pays for two breakfasts of a day", "meal_at_two_tills")
def benefit_charged_twice(patches: Patches) -> None:
    """In the evening nobody looks whether the benefit was used, or is out at another till."""

    def make(original: Any) -> Any:
        def expire(*given: Any, **named: Any) -> set[tuple[int, int]]:
            original(*given, **named)
            return set()

        return expire

    patches.wrap(settle, "_expire", make)
