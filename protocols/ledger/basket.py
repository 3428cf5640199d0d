"""A basket: ITEM records and the one SALE right behind them that commits them (LEDGER section 3).

Promises: ITEMs move nothing; a basket is all of them or none.  ITEMs that no SALE
commits, as a power cut leaves them, never happened.  A basket is paid from money: what a
benefit or meal credit may pay is one hot meal, and one unit of a good is a single sale.
Leaves to others which goods and prices a school has published, and the counters.
"""

from collections import namedtuple

from protocols.errors import AMOUNT_RANGE, BASKET_ITEMS, BASKET_TOTAL, OK
from protocols.ledger import record
from protocols.ledger.holder import AMOUNT_MAX

Line = namedtuple("Line", ("good", "quantity", "price"))
"""What an ITEM says; `price`: of one unit, minor units."""


def line_of(item: record.Record) -> Line:
    """The good, quantity and price of one unit that an ITEM says."""
    return Line(item.aux & 0xFFFF, item.aux >> 16, item.amount)


def is_basket(item: record.Record) -> bool:
    """Whether this is a SALE that commits ITEMs."""
    return item.type == record.SALE and not item.flags & record.SALE_SINGLE


def total(lines) -> int:
    """The sum of quantity times price of Lines, minor units; may be above what a SALE can say."""
    return sum(line.quantity * line.price for line in lines)


def follow(run: tuple, item: record.Record) -> tuple:
    """The ITEMs right ahead of the record after this one, oldest first, the last record.ITEMS_MAX of them."""
    if item.type != record.ITEM:
        return ()
    return (run + (item,))[-record.ITEMS_MAX :]


def committed(run: tuple, sale: record.Record) -> tuple:
    """(refusal, ITEMs) of a basket's SALE behind a run: as many of the last ITEMs as it counts.

    BASKET_ITEMS: they are not all there, not its own, or say nothing that can be sold;
    AMOUNT_RANGE or BASKET_TOTAL: the sum is no amount, or not that of the SALE.  The ITEMs
    of a refused basket are empty.
    """
    count = sale.aux & 0xFFFF
    if sale.flags & ~record.SALE_WEAK or not 0 < count <= len(run):
        return BASKET_ITEMS, ()
    items = run[len(run) - count :]
    seq = sale.seq - count
    units = 0
    for item in items:
        line = line_of(item)
        same = (item.seq, item.flags, item.account, item.day) == (seq, 0, sale.account, sale.day)
        if not same or line.quantity == 0 or line.price <= 0:
            return BASKET_ITEMS, ()
        seq += 1
        units += line.quantity
    if units < 2:
        return BASKET_ITEMS, ()
    amount = total([line_of(item) for item in items])
    if amount > AMOUNT_MAX:
        return AMOUNT_RANGE, ()
    return (OK, items) if amount == sale.amount else (BASKET_TOTAL, ())
