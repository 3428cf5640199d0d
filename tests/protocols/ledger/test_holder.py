"""The escrow counters of a holder and of its parent."""

from protocols import errors
from protocols.ledger import parent, record
from protocols.ledger.holder import NONE, Counters, Holder, rights


class Store:
    def __init__(self):
        self.rows = {}

    def get(self, account, bucket):
        return self.rows.get((account, bucket), NONE)

    def put(self, account, bucket, counters):
        self.rows[(account, bucket)] = counters


def item(kind, amount, aux=0, account=5):
    return record.Record(kind, 0, 20000, 1, 0, account, amount, aux)


def holder_with(granted):
    holder = Holder(Store(), 1000)
    holder.apply(item(record.GRANT, granted))
    return holder


def test_spending_stops_at_the_rights():
    holder = holder_with(300)
    assert holder.may_spend(5, 0, 300) == errors.OK
    assert holder.may_spend(5, 0, 301) == errors.RIGHTS_SHORT
    assert holder.may_spend(5, 0, 0) == errors.AMOUNT_RANGE
    assert holder.may_spend(5, 0, -1) == errors.AMOUNT_RANGE
    holder.apply(item(record.SALE, 300))
    assert holder.may_spend(5, 0, 1) == errors.RIGHTS_SHORT
    assert holder.may_spend(6, 0, 1) == errors.RIGHTS_SHORT


def test_repeated_grant_total_changes_nothing():
    holder = holder_with(300)
    assert holder.grant_due(5, 0, 300) is None
    assert holder.grant_due(5, 0, 200) is None
    assert holder.grant_due(5, 0, 400) == 400


def test_grant_beyond_the_cap_is_cut():
    holder = holder_with(900)
    assert holder.grant_due(5, 0, 2000) == 1000
    holder.apply(item(record.SALE, 500))
    assert holder.grant_due(5, 0, 2000) == 1500


def test_recall_returns_what_is_left():
    holder = holder_with(300)
    holder.apply(item(record.SALE, 120))
    assert holder.return_due(5, 0, 100) == 100
    assert holder.return_due(5, 0, 900) == 180
    holder.apply(item(record.RETURN, 180))
    assert holder.rights(5) == 0
    assert holder.return_due(5, 0, 180) is None
    assert holder.return_due(5, 0, 900) == 180


def test_parent_replays_what_the_holder_did():
    counters = Counters(300, 0, 0, 0)
    assert parent.replay(counters, item(record.SALE, 301)) == (errors.RIGHTS_SHORT, counters)
    assert parent.replay(counters, item(record.SALE, -5)) == (errors.AMOUNT_RANGE, counters)
    refusal, counters = parent.replay(counters, item(record.SALE, 100))
    assert (refusal, rights(counters)) == (errors.OK, 200)
    assert parent.replay(counters, item(record.RETURN, 201))[0] == errors.RETURN_EXCEEDS_RIGHTS
    refusal, counters = parent.replay(counters, item(record.RETURN, 200))
    assert (refusal, rights(counters)) == (errors.OK, 0)
    assert parent.replay(counters, item(record.RETURN, 100))[0] == errors.AMOUNT_RANGE


def test_grant_known_only_to_the_device_is_reserved():
    refusal, counters = parent.replay(NONE, item(record.GRANT, 500))
    assert (refusal, rights(counters)) == (errors.GRANT_UNKNOWN, 500)


def test_parent_grants_no_more_than_is_free():
    assert parent.grantable(500, parent.free(800, 0, 600), 0, 1000, 9999) == 200
    assert parent.grantable(500, 800, 900, 1000, 9999) == 100
    assert parent.grantable(500, 800, 0, 1000, 50) == 50
    assert parent.grantable(500, -5, 0, 1000, 9999) == 0


def test_capabilities_follow_the_device_kind():
    assert parent.capable(parent.GATE, record.SALE) == errors.NOT_CAPABLE
    assert parent.capable(parent.CANTEEN, record.SALE) == errors.OK
    assert parent.capable(parent.CANTEEN, record.PASS) == errors.NOT_CAPABLE
    assert parent.capable(parent.GATE, record.NOTE) == errors.OK
    assert parent.capable(parent.GATE, 99) == errors.RECORD_TYPE


def trade(kind, flags=0, amount=100, day=20000, seq=9, aux=0):
    return record.Record(kind, flags, day, seq, 0, 5, amount, aux)


def test_buckets_follow_the_source_of_a_sale():
    assert record.bucket_of(trade(record.SALE)) == record.MONEY
    assert record.bucket_of(trade(record.SALE, record.FROM_CREDIT)) == record.MEAL_CREDIT
    benefit = trade(record.SALE, record.FROM_BENEFIT | 2 << record.SALE_MEAL_SHIFT)
    assert record.bucket_of(benefit) == 20000 * 8 + 2
    assert (record.units_of(benefit), record.units_of(trade(record.SALE))) == (1, 100)


def test_benefit_is_spent_once():
    counters = Counters(1, 0, 0, 0)
    benefit = trade(record.SALE, record.FROM_BENEFIT | 1 << record.SALE_MEAL_SHIFT)
    refusal, counters = parent.replay(counters, benefit)
    assert (refusal, counters.spent) == (errors.OK, 1)
    assert parent.replay(counters, benefit)[0] == errors.RIGHTS_SHORT


def test_void_gives_the_rights_back():
    holder = holder_with(300)
    sale = trade(record.SALE, seq=4)
    void = trade(record.VOID, seq=5, aux=4)
    holder.apply(sale)
    holder.apply(void)
    assert holder.rights(5) == 300
    counters = Counters(300, 0, 100, 0)
    assert parent.replay(counters, void, sale) == (errors.OK, Counters(300, 0, 100, 100))


def test_void_undoes_exactly_its_sale_once():
    sale = trade(record.SALE, seq=4)
    void = trade(record.VOID, seq=5, aux=4)
    counters = Counters(300, 0, 100, 0)
    for other, voided_before, refusal in (
        (None, False, errors.VOID_UNKNOWN),
        (trade(record.NOTE, seq=4), False, errors.VOID_UNKNOWN),
        (sale, True, errors.VOID_TWICE),
        (trade(record.SALE, amount=99, seq=4), False, errors.VOID_DIFFERS),
        (trade(record.SALE, day=19999, seq=4), False, errors.VOID_DIFFERS),
        (trade(record.SALE, record.FROM_CREDIT, seq=4), False, errors.VOID_DIFFERS),
    ):
        assert parent.replay(counters, void, other, voided_before) == (refusal, counters)
    future = trade(record.VOID, seq=5, aux=5)
    assert parent.replay(counters, future, sale)[0] == errors.VOID_UNKNOWN


def test_void_above_the_cap_is_returned_ahead():
    holder = holder_with(1000)
    sale = trade(record.SALE, amount=500, seq=4)
    holder.apply(sale)
    assert holder.excess_due(5, 0, 500) is None
    holder.apply(item(record.GRANT, 1400))
    assert (holder.rights(5), holder.excess_due(5, 0, 500)) == (900, 400)
    holder.apply(item(record.RETURN, 400))
    assert holder.excess_due(5, 0, 500) is None
    holder.apply(trade(record.VOID, amount=500, seq=6, aux=4))
    assert (holder.rights(5), holder.excess_due(5, 0, 0)) == (1000, None)


def test_no_more_is_returned_than_is_there():
    holder = holder_with(300)
    # A CAP that was lowered since the sale: the rest goes back behind the VOID.
    holder.cap = 400
    assert holder.excess_due(5, 0, 600) == 300
    holder.apply(item(record.RETURN, 300))
    assert holder.excess_due(5, 0, 600) is None
