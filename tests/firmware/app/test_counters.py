"""The holder's store against a plain dict: look-ups, checkpoints, failing storage, replay after any boot."""

import random

from firmware.app.counters import CHANGED_MAX, CounterStore
from firmware.app.state import SIZE
from firmware.hal.board import CANTEEN
from protocols.errors import JOURNAL_BROKEN, STORAGE_MISSING, TABLE_SHAPE, Fault
from protocols.ledger import record
from protocols.ledger.holder import NONE, Counters
from protocols.wire import envelope, messages
from tests.firmware.parts import RamStorage
from tests.firmware.rig import Rig, row, settings
from tests.protocols.nor import PowerCut

STATE = bytes(range(SIZE))
PRICE = 100


def store_of(storage, device=2, epoch=1):
    store = CounterStore(storage, device, epoch)
    return store, store.open()


def checkpoint(store, state=STATE):
    store.begin(state)
    store.finish()


def fault_of(action):
    try:
        action()
    except Fault as fault:
        return fault.code
    return None


def test_new_store_knows_nothing():
    store, state = store_of(RamStorage())
    assert state is None
    assert store.get(5, 0) == NONE


def test_store_agrees_with_a_dict():
    for seed, accounts in ((1, "random"), (2, "counted"), (3, "random")):
        rng = random
        rng.seed(seed)
        storage = RamStorage()
        store, _state = store_of(storage)
        model = {}
        for step in range(400):
            account = rng.getrandbits(30) if accounts == "random" else rng.getrandbits(8) + 1
            key = (account, rng.getrandbits(2))
            if rng.getrandbits(2):
                counters = Counters(*(rng.getrandbits(20) for _ in range(4)))
                store.put(key[0], key[1], counters)
                model[key] = counters
            assert store.get(key[0], key[1]) == model.get(key, NONE)
            if store.is_due and not store.is_merging:
                store.begin(STATE)
            if store.is_merging and step % 3 == 0:
                store.step()
        checkpoint(store)
        fresh, state = store_of(storage)
        assert state == STATE
        for key, counters in model.items():
            assert fresh.get(key[0], key[1]) == counters
        assert fresh.get(0x7FFFFFFF, 9) == NONE


def test_look_up_reads_few_rows():
    storage = RamStorage()
    store, _state = store_of(storage)
    for account in range(1, 3001):
        store.put(account * 7, 0, Counters(account, 0, 0, 0))
        if store.is_due:
            checkpoint(store)
    checkpoint(store)
    fresh, _state = store_of(storage)
    reads = []
    original = fresh._file._fill

    def counted(count):
        reads.append(count)
        return original(count)

    fresh._file._fill = counted
    for account in range(1, 3001, 10):
        assert fresh.get(account * 7, 0).granted == account
    # A page has eight rows, and reading ends at the row that was looked for.
    assert sum(reads) < 0.9 * 8 * 300


def test_checkpoint_is_whole_or_not_there():
    storage = RamStorage()
    store, _state = store_of(storage)
    store.put(1, 0, Counters(10, 0, 0, 0))
    checkpoint(store)
    before = storage.files["counters"]
    for account in range(2, CHANGED_MAX):
        store.put(account, 0, Counters(account, 0, 0, 0))
    store.begin(STATE)
    store.step()
    assert storage.files["counters"] == before
    # The power goes here: the half-written file is thrown away.
    storage.files["counters.new"] = b"half"
    fresh, _state = store_of(storage)
    assert fresh.get(1, 0).granted == 10
    assert fresh.get(2, 0) == NONE
    assert "counters.new" not in storage.files


def test_full_storage_forgets_nothing():
    storage = RamStorage()
    store, _state = store_of(storage)
    store.put(1, 0, Counters(10, 0, 0, 0))
    store.begin(STATE)
    storage.is_full = True
    store.put(1, 0, Counters(11, 0, 0, 0))
    store.put(2, 0, Counters(20, 0, 0, 0))
    assert fault_of(store.finish) == STORAGE_MISSING
    assert (store.get(1, 0).granted, store.get(2, 0).granted) == (11, 20)
    for account in range(3, 200):
        if fault_of(lambda: store.check_room(account, 0)) is not None:  # noqa: B023
            break
        store.put(account, 0, Counters(account, 0, 0, 0))
    # RAM has its bound: what would not fit is refused before it is journaled.
    assert CHANGED_MAX < account < 2 * CHANGED_MAX
    assert fault_of(lambda: store.check_room(1, 0)) is None
    storage.is_full = False
    checkpoint(store)
    fresh = store_of(storage)[0]
    assert (fresh.get(1, 0).granted, fresh.get(account - 1, 0).granted) == (11, account - 1)


def test_line_without_storage_stops_selling():
    rig = line(200, 3 * PRICE)
    rig.storage.is_full = True
    verdicts = []
    for number in range(1, 160):
        rig.clock.pass_ms(4000)
        verdicts.append(rig.tap(f"a:{number:08X}", "-")[:2])
    assert verdicts[0] == ("served", 0)
    assert verdicts[-1] == ("ask", STORAGE_MISSING)
    rig.storage.is_full = False
    rig.run()
    assert rig.tap("a:00000077", "-")[0] == "served"
    rig.reboot()
    check_rights(rig)


def test_damaged_or_foreign_file_is_refused():
    storage = RamStorage()
    store, _state = store_of(storage)
    store.put(1, 0, Counters(10, 0, 0, 0))
    checkpoint(store)
    good = storage.files["counters"]
    assert fault_of(lambda: store_of(storage, device=3)) == TABLE_SHAPE
    assert fault_of(lambda: store_of(storage, epoch=2)) == TABLE_SHAPE
    for place in range(0, len(good), 5):
        damaged = bytearray(good)
        damaged[place] ^= 0x10
        storage.files["counters"] = bytes(damaged)
        assert fault_of(lambda: store_of(storage)) == TABLE_SHAPE
    for size in (0, 10, len(good) - 1):
        storage.files["counters"] = good[:size]
        assert fault_of(lambda: store_of(storage)) == TABLE_SHAPE


# The store inside a board


def line(accounts, rights):
    rows = [row(f"a:{number:08X}", number, rights) for number in range(1, accounts + 1)]
    return Rig(CANTEEN, rows=rows, given=settings(menu=((1, 0, 1439, PRICE),)), sectors=12)


def true_rights(rig):
    """Rights by account, counted from the whole journal by a second way."""
    totals: dict = {}
    for item in rig.records():
        granted, spent, returned = totals.get(item.account, (0, 0, 0))
        if item.type == record.GRANT:
            totals[item.account] = (max(granted, item.amount), spent, returned)
        elif item.type == record.SALE:
            totals[item.account] = (granted, spent + item.amount, returned)
        elif item.type == record.RETURN:
            totals[item.account] = (granted, spent, max(returned, item.amount))
    return {account: values[0] - values[1] - values[2] for account, values in totals.items()}


def check_rights(rig):
    for account, rights in true_rights(rig).items():
        if account:
            assert rig.controller.holder.rights(account) == rights, account
    for wrong in (0x12345, 0x54321):
        assert rig.controller.holder.rights(wrong) == 0


def test_counters_stand_again_after_any_boot():
    rig = line(CHANGED_MAX + 30, 3 * PRICE)
    rng = random
    rng.seed(7)
    for step in range(300):
        rig.clock.pass_ms(4000)
        number = rng.getrandbits(7) % (CHANGED_MAX + 30) + 1
        rig.tap(f"a:{number:08X}", "-")
        if step % 23 == 0:
            rig.reboot()
            check_rights(rig)
        if step % 50 == 0:
            rig.parent.connect()
            right = [messages.Right(number, 0, PRICE * 9)]
            rig.parent.send(envelope.GRANT if step % 100 else envelope.RECALL, messages.pack_rights(right))
    rig.reboot()
    check_rights(rig)
    assert rig.controller.state.next_seq == rig.controller.journal.next_seq
    assert rig.controller._checkpoint_seq > 1
    assert min(true_rights(rig).values()) >= 0


def test_power_cut_anywhere_keeps_the_sum():
    rig = line(20, 5 * PRICE)
    rng = random
    rng.seed(11)
    for _ in range(120):
        rig.clock.pass_ms(4000)
        rig.flash.cut_after = rng.getrandbits(7)
        try:
            rig.tap(f"a:{rng.getrandbits(4) + 1:08X}", "-")
        except PowerCut:
            rig.reboot()
            check_rights(rig)
    rig.reboot()
    check_rights(rig)
    assert not rig.controller.locked


def test_journal_behind_its_checkpoint_locks():
    rig = line(CHANGED_MAX + 10, 3 * PRICE)
    young = bytes(rig.flash.cells)
    for number in range(1, CHANGED_MAX + 10):
        rig.clock.pass_ms(4000)
        rig.tap(f"a:{number:08X}", "-")
    rig.flash.cells[:] = young
    rig.reboot()
    assert rig.controller.locked == JOURNAL_BROKEN


def test_damaged_checkpoint_is_replayed_from_the_start():
    rig = line(CHANGED_MAX + 10, 3 * PRICE)
    for number in range(1, CHANGED_MAX + 10):
        rig.clock.pass_ms(4000)
        rig.tap(f"a:{number:08X}", "-")
    rig.storage.files["counters"] = b"rubbish"
    rig.reboot()
    check_rights(rig)
    assert not rig.controller.locked
    assert TABLE_SHAPE in rig.panel.faults
