"""What the staff rings up for one tap: goods of the menu, at its prices, as one sale or none.

Promises: a basket's items stand in the journal right ahead of the SALE that commits
them; room for all of it is asked for before the first, so only flash that fails or a
power cut leaves items alone, and those never happened.  One unit of one good is the
good itself: a single sale, which a benefit or meal credit may pay; a basket is paid
from money.
"""

from protocols.errors import AMOUNT_RANGE, BASKET_ITEMS, NOT_IN_MENU, NOTHING_ON_SALE, OK
from protocols.ledger import record
from protocols.ledger.holder import AMOUNT_MAX
from protocols.wire.messages import MenuItem

_QUANTITY_MAX = 0xFFFF


def ring_up(menu, wanted) -> tuple:
    """(refusal, item, lines) for the (good, quantity) pairs that were rung up.

    Any good of the menu, whatever the hour: that says only what a line sells by itself.
    `item`: the MenuItem of a single good, which has no lines; else the price of the whole
    basket stands in it, and its lines are (good, quantity, price of one unit).
    NOTHING_ON_SALE for no pair at all, BASKET_ITEMS for more than ITEMS_MAX or a quantity
    that is none, NOT_IN_MENU for a good that the school does not sell, AMOUNT_RANGE.
    """
    if not wanted:
        return NOTHING_ON_SALE, None, ()
    lines, units, price, item = [], 0, 0, None
    for good, quantity in wanted:
        item = _item_of(menu, good)
        if item is None:
            return NOT_IN_MENU, None, ()
        if not 0 < quantity <= _QUANTITY_MAX or len(lines) == record.ITEMS_MAX:
            return BASKET_ITEMS, None, ()
        lines.append((good, quantity, item.price))
        units += quantity
        price += quantity * item.price
    if units == 1:
        return OK, item, ()
    if price > AMOUNT_MAX:
        return AMOUNT_RANGE, None, ()
    return OK, MenuItem(0, 0, 0, price, 0), lines


def _item_of(menu, good: int):
    for item in menu:
        if item.good == good:
            return item
    return None


def write_basket(controller, waiting, flags: int) -> int:
    """Make a basket durable; the seq of its SALE.  A Fault of the journal means that it never was.

    `flags`: of the SALE, 0 or SALE_WEAK.
    """
    account, moment, lines = waiting.who.account, waiting.tap.time, waiting.lines
    # The CLOSE_DAY of the day before may come ahead of it.
    day = controller.day(moment)
    controller.journal.check_room(len(lines) + 2, day)
    controller.check_room(account, record.MONEY, flags, day)
    for good, quantity, price in lines:
        controller.write_at(record.ITEM, 0, moment, account, price, record.item_aux(good, quantity))
    aux = record.good_aux(len(lines), waiting.who.reference)
    return controller.write(
        record.SALE, flags, account=account, amount=waiting.item.price, aux=aux, time=moment
    )
