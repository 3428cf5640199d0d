"""Purchases with a lost card are taken back: once, from whoever pays, and the day stays in balance."""

import pytest

from cloud import db
from cloud.accounting import service as accounting
from cloud.losses import service as losses
from cloud.losses import takebacks
from cloud.reconciliation import service as reconciliation
from protocols.ledger import record
from tests.cloud.ingest.peer import DAY, LUNCH, NIGHT, NOON, PRICES, World
from tests.cloud.ingest.test_hot_meals import (
    FUND,
    FUNDED,
    ON_CREDIT,
    close_day,
    credit,
    entitle,
    publish,
    take,
)
from tests.cloud.ingest.test_hot_meals import world as with_meals
from tests.cloud.losses.test_losses import apply_table, give_twin, look, report
from tests.cloud.losses.test_losses import world as world

meals = with_meals
PRICE = PRICES[LUNCH]
LOSS, CATERER = accounting.LOST_CARDS, accounting.CATERER


def ask(world: World, one: losses.Lost, *, by: str = "Petrova", places: object = None) -> str:
    after = look(world, one).after
    chosen = [use.place for use in after] if places is None else places
    with db.begin(world.engine) as conn:
        return losses.ask(
            conn, world.archive, world.school, one.number, after, chosen,  # type: ignore[arg-type]
            by=by, reason="told at once", now=world.now,
        )  # fmt: skip


def decide(world: World, request: str, by: str, *, agree: bool = True) -> int:
    with db.begin(world.engine) as conn:
        return losses.decide(conn, world.archive, world.school, request, by=by, agree=agree, now=world.now)


def states(world: World, one: losses.Lost) -> list[tuple[str, str]]:
    with db.reading(world.engine) as conn:
        return [(sale.state, sale.payer) for sale in losses.sales_of(conn, world.school, one.number).values()]


def sold_after(world: World, count: int = 1) -> tuple[int, losses.Lost]:
    """A report, and what the line sold a minute later while it did not know of it."""
    account = world.of_line(world.line)[0]
    one = report(world, account)
    world.line.time = NOON + 60
    world.line.write(record.GRANT, 0, account, 50_000 if world.balance(account) > 40_000 else 40_000)
    for _ in range(count):
        world.line.sell(account, LUNCH)
    world.handle(*world.line.all_recs())
    return account, one


def whole(world: World) -> None:
    """The books are whole, today and the day of the correction balance."""
    with db.snapshot(world.engine) as conn:
        assert accounting.check(conn, world.school).differences == []
        for day in (DAY, DAY + 1):
            found = reconciliation.reconcile(conn, world.school, day)
            assert (found.items, found.journal_minor) == ([], found.books_minor)
    world.check_books()


def test_purchase_is_taken_back_once_when_the_till_has_closed_its_day(world: World) -> None:
    account, one = sold_after(world)
    before = world.balance(account)
    request = ask(world, one)
    assert len(request) == 64
    assert (states(world, one), world.balance(account)) == ([("agreed", "loss")], before)
    close_day(world, world.line)
    assert losses.drive(world.engine, world.now) == 1
    assert losses.drive(world.engine, world.now) == 0
    assert ask(world, one) == ""
    assert states(world, one) == [("posted", "loss")]
    assert world.balances(accounting.purse(account), LOSS, CATERER) == [before + PRICE, -PRICE, PRICE]
    whole(world)


def test_key_of_the_books_stops_a_second_way_back(world: World) -> None:
    account, one = sold_after(world)
    ask(world, one)
    close_day(world, world.line)
    losses.drive(world.engine, world.now)
    with db.begin(world.engine) as conn:
        conn.execute(db.lost_card_sale.update().values(state="agreed"))
    assert losses.drive(world.engine, world.now) == 1
    assert world.balances(LOSS) == [-PRICE]
    assert world.rows("SELECT count(*) FROM entry WHERE school_id = ? AND kind = 'reversal'") == [(1,)]
    assert states(world, one) == [("posted", "loss")]
    assert world.balance(account) == 60_000
    whole(world)


def test_day_that_is_over_is_posted_at_once(world: World) -> None:
    account, one = sold_after(world)
    close_day(world, world.line)
    ask(world, one)
    assert (states(world, one), world.balance(account)) == ([("posted", "loss")], 60_000)
    whole(world)


def test_what_comes_late_is_offered_too(world: World) -> None:
    account = world.of_line(world.line)[0]
    one = report(world, account)
    world.line.write(record.GRANT, 0, account, 50_000)
    world.line.time = NOON + 60
    world.line.sell(account, LUNCH)
    world.now = NIGHT + 86_400
    assert ask(world, one, places=[]) == ""
    close_day(world, world.line)
    ask(world, one)
    assert (states(world, one), world.balance(account)) == ([("posted", "loss")], 60_000)
    whole(world)


def test_sale_cancelled_by_the_canteen_meanwhile_comes_back_once(world: World) -> None:
    account, one = sold_after(world)
    ask(world, one)
    world.line.write(record.VOID, 1, account, PRICE, world.line.next_seq - 1)
    world.handle(*world.line.recs_of(1))
    close_day(world, world.line)
    assert losses.drive(world.engine, world.now) == 0
    assert states(world, one) == [("declined", "loss")]
    assert world.balances(accounting.purse(account), LOSS, CATERER) == [60_000, 0, 0]
    whole(world)


def test_till_that_knew_of_the_block_pays_itself(world: World) -> None:
    account = world.of_line(world.line)[0]
    one = report(world, account)
    world.line.write(record.GRANT, 0, account, 50_000)
    apply_table(world, world.line, one.table_version)
    world.line.time = NOON + 60
    world.line.sell(account, LUNCH)
    world.handle(*world.line.all_recs())
    ask(world, one)
    close_day(world, world.line)
    losses.drive(world.engine, world.now)
    assert states(world, one) == [("posted", "caterer")]
    assert world.balances(accounting.purse(account), LOSS, CATERER) == [60_000, 0, 0]
    with db.snapshot(world.engine) as conn:
        found = reconciliation.reconcile(conn, world.school, DAY + 1)
    assert [amount for _entry, amount in found.corrections] == [-PRICE]
    whole(world)


def test_canteen_does_not_pay_what_another_card_may_have_bought(world: World) -> None:
    account = world.of_line(world.line)[0]
    give_twin(world, account)
    one = report(world, account)
    world.line.write(record.GRANT, 0, account, 50_000)
    apply_table(world, world.line, one.table_version)
    world.line.time = NOON + 60
    world.line.sell(account, LUNCH)
    world.handle(*world.line.all_recs())
    assert [use.was_closed for use in look(world, one).after] == [True]
    ask(world, one)
    assert states(world, one) == [("agreed", "loss")]


def test_much_money_needs_a_second_person_and_the_same_hash(world: World) -> None:
    _account, one = sold_after(world, 3)
    close_day(world, world.line)
    after = [use.place for use in look(world, one).after]
    assert ask(world, one, places=after[:1])
    with db.begin(world.engine) as conn:
        conn.execute(db.lost_card_sale.update().values(amount_minor=losses.ALONE_MINOR))
    request = ask(world, one, places=after)  # one by one is no way around the limit
    assert sorted(states(world, one)) == [("posted", "loss"), ("waits", "loss"), ("waits", "loss")]
    for person in ("Petrova", " petrova", ""):
        with pytest.raises(losses.Refused):
            decide(world, request, person)
    assert decide(world, "0" * 64, "Ivanova") == 0
    assert world.balances(LOSS) == [-PRICE]
    with db.reading(world.engine) as conn:
        (waits,) = losses.waiting(conn, world.school)
    assert (waits.request, waits.sales, waits.amount_minor) == (request, 2, 2 * PRICE)
    assert decide(world, request, "Ivanova") == 2
    assert decide(world, request, "Ivanova") == 0
    assert world.balances(LOSS) == [-3 * PRICE]
    whole(world)


def test_declined_purchase_may_be_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _account, one = sold_after(world)
    close_day(world, world.line)
    with monkeypatch.context() as patch:
        patch.setattr(takebacks, "ALONE_MINOR", 0)
        request = ask(world, one)
    assert decide(world, request, "Ivanova", agree=False) == 1
    assert states(world, one) == [("declined", "loss")]
    assert world.balances(LOSS) == [0]
    ask(world, one)
    assert states(world, one) == [("posted", "loss")]


def test_sale_that_two_reports_tell_of_is_decided_once(world: World) -> None:
    account = world.of_line(world.line)[0]
    twin = give_twin(world, account)
    _account, one = sold_after(world)
    with db.begin(world.engine) as conn:
        other = losses.report(
            conn, world.vault, world.archive, world.school, account, twin,
            reporter=losses.PARENT, who="adult 1", lost_at=NOON, now=NOON,
        )  # fmt: skip
    assert ask(world, one)
    with db.reading(world.engine) as conn:
        assert losses.offered(conn, world.school, look(world, other)) == []
    assert ask(world, other, by="Ivanova") == ""
    assert (states(world, one), states(world, other)) == ([("agreed", "loss")], [])


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("x", " ")])
def test_nobody_takes_back_without_name_and_reason(world: World, by: str, reason: str) -> None:
    _account, one = sold_after(world)
    after = look(world, one).after
    with pytest.raises(losses.Refused), db.begin(world.engine) as conn:
        losses.ask(
            conn,
            world.archive,
            world.school,
            one.number,
            after,
            [after[0].place],
            by=by,
            reason=reason,
            now=NOON,
        )


def test_only_purchases_after_the_report_are_taken_back(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.time = NOON - 60
    world.line.write(record.GRANT, 0, account, 50_000)
    earlier = world.line.sell(account, LUNCH)
    world.handle(*world.line.all_recs())
    one = report(world, account, lost_at=NOON - 3600)
    assert [use.kind for use in look(world, one).before] == ["purchase"]
    with pytest.raises(losses.Refused):
        ask(world, one, places=[(world.line.device, 1, earlier)])


def test_meal_of_a_fund_gives_nothing_to_the_purse(meals: World) -> None:
    account = meals.of_line(meals.line)[0]
    entitle(meals, account)
    one = report(meals, account)
    meals.line.time = NOON + 60
    take(meals, meals.line, account, FUNDED)
    purse = meals.balance(account)
    close_day(meals, meals.line, meals.other)
    ask(meals, one)
    assert states(meals, one) == [("posted", "loss")]
    assert meals.balances(accounting.purse(account), FUND, LOSS) == [purse, 0, -PRICE]
    whole(meals)


def test_meal_that_a_fund_paid_later_gives_nothing_to_the_purse(meals: World) -> None:
    account = meals.of_line(meals.line)[0]
    one = report(meals, account)
    meals.line.time = NOON + 60
    take(meals, meals.line, account, record.SALE_SINGLE)
    close_day(meals, meals.line, meals.other)
    entitle(meals, account)
    publish(meals, NOON + 86_400)
    assert meals.balances(accounting.purse(account), FUND) == [40_000, -PRICE]
    ask(meals, one)
    assert meals.balances(accounting.purse(account), FUND, LOSS) == [40_000, 0, -PRICE]
    whole(meals)


def test_fund_pays_no_meal_that_was_taken_back(meals: World) -> None:
    """Else the purse got its price twice: from the school, and from the fund."""
    account = meals.of_line(meals.line)[0]
    one = report(meals, account)
    meals.line.time = NOON + 60
    take(meals, meals.line, account, record.SALE_SINGLE)
    close_day(meals, meals.line, meals.other)
    ask(meals, one)
    entitle(meals, account)
    publish(meals, NOON + 86_400)
    assert meals.balances(accounting.purse(account), FUND, LOSS) == [40_000, 0, -PRICE]
    whole(meals)


def test_meal_on_credit_pays_the_debt(meals: World) -> None:
    account = meals.of_line(meals.line)[0]
    publish(meals)
    one = report(meals, account)
    meals.line.time = NOON + 60
    take(meals, meals.line, account, ON_CREDIT)
    close_day(meals, meals.line, meals.other)
    ask(meals, one)
    assert meals.balances(credit(account), accounting.purse(account), LOSS) == [0, 40_000, -PRICE]
    whole(meals)


def test_sale_from_a_price_nobody_published_waits_for_a_person(world: World) -> None:
    account = world.of_line(world.line)[0]
    one = report(world, account)
    world.line.time = NOON + 60
    world.line.write(record.GRANT, 0, account, 50_000)
    world.line.sell(account, LUNCH, 77)
    world.handle(*world.line.all_recs())
    assert look(world, one).after[0].refusal
    assert ask(world, one) == ""


def test_void_behind_a_way_back_returns_the_schools_money(world: World) -> None:
    """A journal never goes back to a closed day; should one do it all the same, no price comes back twice."""
    account, one = sold_after(world)
    sale = world.line.next_seq - 1
    close_day(world, world.line)
    ask(world, one)
    world.line.write(record.VOID, 1, account, PRICE, sale)
    world.handle(*world.line.recs_of(1))
    assert world.balances(accounting.purse(account), LOSS, CATERER) == [60_000, 0, 0]
