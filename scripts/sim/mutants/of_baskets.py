"""Bugs of baskets: of the till that writes them and of the cloud that judges them."""

from __future__ import annotations

from typing import Any

from cloud.ingest import replay
from firmware.app import canteen
from protocols.errors import BASKET_ITEMS, BASKET_TOTAL, OK
from protocols.ledger import basket, record
from scripts.sim.mutants import Overlay, Patches, mutant


@mutant("half a basket is charged", "link_drop")
def half_basket_charged(patches: Patches) -> None:
    """A till leaves the last lines out, and says served for all of them."""

    def make(original: Any) -> Any:
        def write(controller: Any, waiting: Any, flags: int) -> int:
            waiting.lines = waiting.lines[: (len(waiting.lines) + 1) // 2]
            price = sum(quantity * price for _good, quantity, price in waiting.lines)
            waiting.item = waiting.item._replace(price=price)
            return int(original(controller, waiting, flags))

        return write

    patches.wrap(canteen, "write_basket", make)


@mutant("a basket's sale stands ahead of its items", "power_cut")
def sale_ahead_of_items(patches: Patches) -> None:
    """The order of the records is turned around."""

    def write(controller: Any, waiting: Any, flags: int) -> int:
        account, moment = waiting.who.account, waiting.tap.time
        aux = record.good_aux(len(waiting.lines), waiting.who.reference)
        price = waiting.item.price
        seq = controller.write(record.SALE, flags, account=account, amount=price, aux=aux, time=moment)
        for good, quantity, price in waiting.lines:
            controller.write_at(record.ITEM, 0, moment, account, price, record.item_aux(good, quantity))
        return int(seq)

    patches.replace(canteen, "write_basket", write)


def _passing(refusal: int) -> Any:
    """The rule of baskets without one of its answers."""

    def committed(run: Any, sale: Any) -> Any:
        found = basket.committed(run, sale)
        return (OK, ()) if found[0] == refusal else found

    return Overlay(basket, committed=committed)


@mutant("the total of a basket is not checked", "hostile_basket")
def basket_total_not_checked(patches: Patches) -> None:
    """The caterer gets what the till says."""
    patches.replace(replay, "basket", _passing(BASKET_TOTAL))


@mutant("the items of a basket are not looked for", "hostile_basket")
def basket_items_not_checked(patches: Patches) -> None:
    """A sale that commits nothing is a sale."""
    patches.replace(replay, "basket", _passing(BASKET_ITEMS))


@mutant("the price of a basket's items is not checked", "hostile_basket")
def basket_prices_not_checked(patches: Patches) -> None:
    """What adds up is believed."""

    def goods(original: Any) -> Any:
        def judged(self: Any, device: Any, item: Any) -> Any:
            if not basket.is_basket(item):
                return original(self, device, item)
            return basket.committed(self._ahead(device, item), item)[0], ()

        return judged

    patches.wrap(replay.Replay, "_goods", goods)


@mutant("the items of a basket are counted beside its sale", "link_drop")
def items_counted_twice(patches: Patches) -> None:
    """The purse pays the items, and then their sum."""

    def make(original: Any) -> Any:
        def sale(self: Any, device: Any, item: Any, capable: int, found: Any) -> Any:
            refusal = original(self, device, item, capable, found)
            if not refusal and basket.is_basket(item):
                entry = found.entries[-1]
                twice = [(code, 2 * amount) for code, amount in entry.postings]
                found.entries[-1] = entry._replace(postings=twice)
            return refusal

        return sale

    patches.wrap(replay.Replay, "_sale", make)


@mutant("items that came in an earlier batch are forgotten", "baskets_in_a_backlog")
def items_of_earlier_batch_forgotten(patches: Patches) -> None:
    """Only the batch of the sale is looked into."""

    def judge(original: Any) -> Any:
        def follow(self: Any, device: Any, raw: bytes, found: Any) -> None:
            self.batch_from = record.unpack(raw).seq
            original(self, device, raw, found)

        return follow

    def ahead(original: Any) -> Any:
        def look(self: Any, device: Any, sale: Any) -> Any:
            return tuple(item for item in original(self, device, sale) if item.seq >= self.batch_from)

        return look

    patches.wrap(replay.Replay, "judge", judge)
    patches.wrap(replay.Replay, "_ahead", ahead)
