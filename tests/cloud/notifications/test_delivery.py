"""From the outbox to the channel: nothing lost, nothing twice, nothing stale, codes never in clear."""

import threading
from collections import Counter

import pytest
from sqlalchemy import text

from cloud.db import begin, metadata, reading
from cloud.keys import VaultError
from cloud.meals import service as meals
from cloud.notifications import delivery
from cloud.notifications import service as notifications
from cloud.notifications.channel import FAILED, ChannelDown
from cloud.notifications.service import Happening
from cloud.people import service as people
from tests.cloud.notifications.town import NOW, Box, Town


@pytest.fixture
def town(store, tmp_path):
    return Town(store, tmp_path / "keys")


def test_each_adult_of_a_child_is_told(town):
    town.happen("Маша")
    assert town.work() == 1
    assert town.work() == 0
    clock = "11:00"  # NOW in Moscow
    assert sorted(town.box.texts) == [
        ("+79000000001", f"Маша: вход в школу {clock}"),
        ("+79000000002", f"Маша: вход в школу {clock}"),
    ]
    assert town.counts() == (0, 2, 0, 0)


def test_purchase_names_the_good_and_price(town):
    with begin(town.store) as conn:
        meals.set_menu(conn, town.school_id, [meals.Item("lunch", 0, 1439, 14000)])
    town.happen("Ваня", "purchase", goods=((1, 1),), amount_minor=14000)
    town.happen("Ваня", "exit", at=NOW + 60)
    town.work()
    assert [said for _, said in town.box.texts] == [
        "Ваня: обед в 11:00, 140,00\u00a0₽",
        "Ваня: выход из школы 11:01",
    ]


def test_basket_names_its_goods(town):
    menu = [meals.Item("lunch", 0, 719, 14000), meals.Item("Пирожок", 720, 1439, 4500)]
    with begin(town.store) as conn:
        meals.set_menu(conn, town.school_id, menu)
        adult = people.adult_by_phone(conn, town.school_id, "+79000000002")
        assert adult is not None
        people.set_language(conn, town.school_id, adult.adult_id, "en")
    town.happen("Маша", "purchase", goods=((1, 1), (2, 3)), amount_minor=27500)
    town.work()
    assert sorted(said for _, said in town.box.texts) == [
        "Маша: lunch, Пирожок x3 11:00, RUB 275.00",
        "Маша: обед, Пирожок ×3 в 11:00, 275,00\u00a0₽",
    ]


def test_language_is_the_adults_own(town):
    with begin(town.store) as conn:
        adult = people.adult_by_phone(conn, town.school_id, "+79000000003")
        assert adult is not None
        people.set_language(conn, town.school_id, adult.adult_id, "en")
    town.happen("Ваня")
    town.work()
    assert town.box.texts == [("+79000000003", "Ваня: entered at 11:00")]


def test_fact_without_adults_is_done(town):
    town.happen("Ян")
    assert town.work() == 1
    assert town.box.sent == []
    assert town.counts() == (0, 0, 0, 0)
    assert "nobody" in str(town.column("SELECT detail FROM outbox"))


def test_stale_fact_is_dropped_with_a_reason(town):
    town.happen("Маша", at=NOW - 7201)
    town.happen("Маша", at=NOW - 7200)
    town.work()
    assert len(town.box.sent) == 2
    assert "stale" in str(town.column("SELECT detail FROM outbox ORDER BY id")[0])
    assert town.counts() == (0, 2, 0, 0)


def test_school_may_tell_at_any_age(town):
    with begin(town.store) as conn:
        people.set_message_stale_s(conn, town.school_id, None)
    town.happen("Маша", at=NOW - 10_000_000)
    town.work()
    assert len(town.box.sent) == 2


def test_message_that_grew_stale_waiting_is_dropped(town):
    town.happen("Маша")
    town.box.down = True
    town.work()
    town.box.down = False
    town.now += 8000
    assert town.work() == 1
    assert town.box.sent == []
    assert town.counts() == (0, 0, 2, 0)
    assert town.outcomes() == ["stale", "stale"]
    assert town.column("SELECT body FROM message") == [None, None]


@pytest.mark.parametrize("sent_before", [0, 1, 2])
def test_worker_that_died_is_repeated_under_one_id(town, sent_before):
    """Died after the claim, in the middle of sending, or before it could settle."""
    town.happen("Маша")
    town.happen("Ваня")
    town.box.dies_after = sent_before
    with pytest.raises(KeyboardInterrupt):
        town.work()
    assert town.counts() == (3, 0, 0, 2)
    town.box.dies_after = None
    assert town.work() == 0, "the claim still stands"
    town.now += delivery.LEASE_S
    assert town.work() == 2
    assert town.counts() == (0, 3, 0, 0)
    assert len(set(town.box.ids)) == 3
    assert len(town.box.ids) == 3 + sent_before


def test_id_is_of_the_fact_not_of_the_row(town):
    """After a restored backup facts come again under other row numbers, and are the same messages."""
    town.happen("Маша")
    town.work()
    with begin(town.store) as conn:
        conn.execute(text("DELETE FROM message"))
        conn.execute(text("DELETE FROM outbox"))
    town.happen("Ваня")
    town.seq = 0
    town.happen("Маша")
    town.work()
    assert Counter(Counter(town.box.ids).values()) == {2: 2, 1: 1}


def test_down_channel_is_tried_later_and_given_up(town):
    town.happen("Ваня")
    town.box.down = True
    tries = []
    while town.counts().unsettled:
        tries.append(town.now - NOW)
        assert town.work() == 1
        assert town.work() == 0
        town.now = town.column("SELECT coalesce(max(claimed_until), 0) FROM outbox")[0]
    assert len(tries) == delivery.TRIES_MAX
    assert tries[:4] == [0, 2, 7, 22]
    assert town.counts() == (0, 0, 1, 0)
    assert town.outcomes() == ["channel down"]


def test_one_down_message_holds_no_other_back(town):
    town.happen("Маша")
    send, failures = town.box.send, iter([True])

    def once_down(message):
        if next(failures, False):
            raise ChannelDown("down")
        return send(message)

    town.box.send = once_down
    town.work()
    assert town.counts() == (1, 1, 0, 1)
    town.now += 2
    town.work()
    assert town.counts() == (0, 2, 0, 0)
    assert len(set(town.box.ids)) == len(town.box.ids) == 2


def test_refused_message_is_failed_for_good(town):
    town.box.answer = FAILED
    town.happen("Ваня")
    town.work()
    assert town.counts() == (0, 0, 1, 0)
    assert town.outcomes() == ["refused"]


def test_slow_channel_leaves_the_rest_for_later(town):
    for _ in range(4):
        town.happen("Ваня")
    send = town.box.send

    def slowly(message):
        town.now += 8
        return send(message)

    town.box.send = slowly
    town.work(lease_s=20)
    assert len(town.box.sent) == 2
    town.now += 2
    town.work(lease_s=20)
    assert len(set(town.box.ids)) == len(town.box.ids) == 4


def test_slowness_and_death_cost_no_tries(town):
    """Only a channel that says so is down: a worker that died or was slow ten times loses nothing."""
    for _ in range(3):
        town.happen("Маша")
    send = town.box.send

    def slowly(message):
        town.now += 100
        return send(message)

    town.box.send = slowly
    for _ in range(2 * delivery.TRIES_MAX):
        town.box.dies_after = len(town.box.sent)
        with pytest.raises(KeyboardInterrupt):
            town.work()
        town.now += delivery.LEASE_S
    town.box.dies_after = None
    while town.counts().unsettled:
        assert town.work() > 0
    assert town.counts() == (0, 6, 0, 0)
    assert len(set(town.box.ids)) == len(town.box.ids) == 6


def test_two_workers_share_without_doubles(town):
    for number in range(150):
        town.happen(("Маша", "Ваня")[number % 2])
    boxes = [Box(), Box()]
    gate = threading.Barrier(2)

    def work(box):
        gate.wait()
        while delivery.deliver(town.store, town.vault, box, lambda: NOW, batch=7):
            pass

    threads = [threading.Thread(target=work, args=(box,)) for box in boxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = boxes[0].ids + boxes[1].ids
    assert len(ids) == len(set(ids)) == 225
    assert town.counts() == (0, 225, 0, 0)


def test_fact_and_message_are_one_transaction(town):
    fact = Happening(town.school_id, "entry", town.accounts["Маша"], 1, 1, 1, NOW, NOW)
    with town.store.connect().execution_options(writing=True) as conn:
        notifications.enqueue(conn, [fact])
        conn.rollback()  # the fact's own rows went with it
    assert town.work() == 0


def test_unknown_event_is_refused(town):
    with begin(town.store) as conn, pytest.raises(ValueError, match="event"):
        notifications.enqueue(conn, [Happening(town.school_id, "grade", 1, 1, 1, 1, NOW, NOW)])


def code_for(town, phone, code):
    with begin(town.store) as conn:
        adult = people.adult_by_phone(conn, None, phone)
        assert adult is not None
        return notifications.enqueue_code(conn, town.vault, adult.adult_id, code, town.now)


def dump(store):
    """Every value of every table, as one text."""
    told = []
    with reading(store) as conn:
        for table in metadata.sorted_tables:
            for row in conn.execute(table.select()):
                for value in row:
                    told.append(value.decode("latin-1") if isinstance(value, bytes) else str(value))
    return "\n".join(told)


def test_code_is_never_in_clear_and_wiped_when_sent(town):
    assert code_for(town, "+79000000003", "483920")
    assert "483920" not in dump(town.store)
    assert town.column("SELECT count(*) FROM message WHERE body IS NOT NULL") == [1]
    town.work()
    assert town.box.texts == [("+79000000003", "483920: код для входа. Никому его не говорите")]
    assert town.column("SELECT count(*) FROM message WHERE body IS NOT NULL") == [0]
    assert town.counts() == (0, 1, 0, 0)


def test_old_code_is_wiped_and_not_sent(town):
    code_for(town, "+79000000003", "483920")
    town.now += delivery.CODE_LIFE_S + 1
    assert town.work() == 1
    assert town.box.sent == []
    assert town.column("SELECT count(*) FROM message WHERE body IS NOT NULL") == [0]


def test_two_codes_are_two_messages(town):
    code_for(town, "+79000000003", "111111")
    code_for(town, "+79000000003", "222222")
    town.work()
    assert [said[:6] for _, said in town.box.texts] == ["111111", "222222"]
    assert len(set(town.box.ids)) == 2


def test_code_for_nobody_is_told(town):
    with begin(town.store) as conn:
        assert not notifications.enqueue_code(conn, town.vault, 5, "111111", NOW)


def test_waiting_texts_are_sealed(town):
    town.happen("Маша")
    town.box.down = True
    town.work()
    assert "вход в школу" not in dump(town.store)
    assert town.column("SELECT count(*) FROM message WHERE body IS NOT NULL") == [2]


def test_texts_of_other_rows_do_not_open(town):
    """Whoever can write to the database cannot move a text to another parent."""
    town.happen("Маша")
    town.box.down = True
    town.work()
    bodies = town.column("SELECT body FROM message ORDER BY id")
    with begin(town.store) as conn:
        conn.execute(text("UPDATE message SET body = :body"), {"body": bodies[0]})
    town.box.down = False
    town.now += 2
    with pytest.raises(VaultError):
        town.work()


def test_panel_sees_messages_of_a_record(town):
    seq = town.happen("Ваня")
    town.work()
    with reading(town.store) as conn:
        (told,) = notifications.of_record(conn, town.vault, town.school_id, 0xD1, 1, seq)
    assert told == ("•••\u00a000\u00a003", "sent", "file", "ru", "Ваня: вход в школу 11:00", NOW, NOW, "sent")
