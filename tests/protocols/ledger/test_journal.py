"""The journal ring: what was acknowledged survives, what is damaged is found."""

from protocols import errors
from protocols.ledger import record
from protocols.ledger.journal import SLOTS, Journal
from protocols.mac import Hmac
from tests.protocols.nor import Nor, PowerCut

KEY = bytes(range(32))


def opened(nor, horizon_days=0):
    journal = Journal(nor, KEY, 7, 1, horizon_days)
    journal.open()
    return journal


def opened_later(nor):
    return lambda: opened(nor)


def sale(journal, amount=100, day=20000):
    return journal.append(record.SALE, record.SALE_SINGLE, day, 1788220800, 5, amount, 1)


def fault_of(call):
    try:
        call()
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_appended_records_read_back():
    journal = opened(Nor())
    assert [sale(journal, amount) for amount in (1, 2, 3)] == [1, 2, 3]
    before, raw, after = journal.read(1, 20)
    assert before == record.genesis(KEY, 7, 1)
    assert [record.unpack(raw, offset).amount for offset in (0, 32, 64)] == [1, 2, 3]
    assert after == journal.head_mac


def test_field_out_of_range_writes_nothing():
    nor = Nor()
    journal = opened(nor)
    sale(journal)
    before, head = bytes(nor.cells), journal.head_mac
    for amount, day in ((1 << 31, 20000), (100, 1 << 16)):
        assert fault_of(lambda a=amount, d=day: sale(journal, a, d)) == errors.FIELD_RANGE
        assert (bytes(nor.cells), journal.head_mac, journal.next_seq) == (before, head, 2)
    assert sale(journal) == 2
    assert opened(nor).next_seq == 3


def test_chain_of_a_batch_verifies():
    journal = opened(Nor())
    for amount in range(1, 50):
        sale(journal, amount)
    chain = Hmac(KEY)
    mac, raw, head = journal.read(11, 20)
    for offset in range(0, len(raw), record.SIZE):
        mac = record.follow(chain, mac, raw, offset)
        assert mac
    assert mac == head
    assert len(raw) == 20 * record.SIZE
    assert journal.read(31, 20)[0] == head


def test_reopening_finds_the_head():
    nor = Nor()
    journal = opened(nor)
    for amount in range(1, 2 * SLOTS):
        sale(journal, amount)
    again = opened(nor)
    assert again.next_seq == journal.next_seq
    assert again.head_mac == journal.head_mac
    assert [item.amount for item in again.records(200)] == list(range(200, 2 * SLOTS))


def test_half_used_page_is_left():
    nor = Nor()
    sale(opened(nor))
    again = opened(nor)
    sale(again)
    assert bytes(nor.cells[96:128]) == b"\xff" * 32
    assert nor.cells[256] == record.SALE
    assert opened(nor).next_seq == 3


def test_page_of_a_header_is_left_too():
    nor = Nor()
    opened(nor)
    again = opened(nor)
    sale(again)
    assert bytes(nor.cells[64:256]) == b"\xff" * 192
    assert nor.cells[256] == record.SALE
    assert [item.seq for item in opened(nor).records(1)] == [1]


def test_power_cut_at_every_byte_keeps_the_rest():
    for before in (0, 1, 5, 6, SLOTS - 1, SLOTS):
        cut = 0
        while True:
            nor = Nor()
            journal = opened(nor)
            for amount in range(before):
                sale(journal, amount + 1)
            nor.cut_after = cut
            try:
                sale(journal, 777)
                finished = True
            except PowerCut:
                finished = False
            nor.cut_after = None
            again = opened(nor)
            amounts = [item.amount for item in again.records(1)]
            assert amounts[:before] == list(range(1, before + 1))
            assert amounts[before:] in ([], [777])
            assert not finished or amounts[before:] == [777]
            assert sale(again, 888) == len(amounts) + 1
            amounts.append(888)
            assert [item.amount for item in opened(nor).records(1)] == amounts
            if finished:
                break
            cut += 1
        assert cut >= record.SIZE


def test_torn_write_is_skipped_and_counted():
    nor = Nor()
    journal = opened(nor)
    sale(journal)
    nor.cut_after = 10
    try:
        sale(journal, 2)
    except PowerCut:
        nor.cut_after = None
    again = opened(nor)
    assert (again.torn_count, again.next_seq) == (1, 2)
    sale(again, 3)
    assert [item.amount for item in opened(nor).records(1)] == [100, 3]


def test_bit_rot_in_the_middle_is_a_fault():
    nor = Nor()
    journal = opened(nor)
    for _ in range(3):
        sale(journal)
    nor.cells[64 + 32 + 16] ^= 1
    assert fault_of(lambda: opened(nor)) == errors.JOURNAL_BROKEN


def test_rot_in_an_unsent_record_is_found():
    nor = Nor(3)
    journal = opened(nor)
    for _ in range(SLOTS + 9):
        sale(journal)
    nor.cells[64 + 32 * 40 + 16] ^= 1
    assert len(journal.read(31, 20)[1]) == 10 * record.SIZE
    assert fault_of(lambda: journal.read(41, 20)) == errors.JOURNAL_BROKEN
    assert fault_of(lambda: journal.read(50, 20)) == errors.JOURNAL_BROKEN
    assert len(journal.read(SLOTS + 1, 20)[1]) == 9 * record.SIZE


def test_rot_in_an_older_sector_stops_the_replay():
    nor = Nor(4)
    journal = opened(nor)
    for _ in range(SLOTS + 9):
        sale(journal)
    nor.cells[64 + 32 * 40 + 16] ^= 1
    again = opened(nor)
    assert again.next_seq == SLOTS + 10
    assert fault_of(lambda: list(again.records(1))) == errors.JOURNAL_BROKEN
    assert [item.seq for item in again.records(SLOTS + 1)] == list(range(SLOTS + 1, SLOTS + 10))


def test_rotten_header_hides_no_records():
    # The newest sector, or an older one that must stay; in a young ring, and in one that has wrapped.
    for count, damaged in ((5, 0), (SLOTS + 5, 1), (SLOTS + 5, 0), (5 * SLOTS + 5, 1), (5 * SLOTS + 5, 0)):
        nor = Nor()
        journal = opened(nor)
        for _ in range(count):
            journal.acknowledge(sale(journal))
        nor.cells[damaged * 4096 + 20] ^= 1
        assert fault_of(lambda ring=nor: opened(ring)) == errors.JOURNAL_BROKEN, (count, damaged)
        nor.cells[damaged * 4096 + 20] ^= 1
        assert opened(nor).next_seq == count + 1


def test_another_devices_flash_is_refused():
    nor = Nor()
    opened(nor)
    assert fault_of(Journal(nor, KEY, 8, 1).open) == errors.JOURNAL_FOREIGN
    assert fault_of(Journal(nor, KEY, 7, 2).open) == errors.JOURNAL_FOREIGN


def test_stuck_bit_moves_to_the_next_page():
    nor = Nor()
    journal = opened(nor)
    sale(journal)
    nor.stuck = (64 + 32,)
    assert sale(journal, 2) == 2
    assert [item.amount for item in opened(nor).records(1)] == [100, 2]


def test_worn_pages_are_passed_over():
    nor = Nor()
    journal = opened(nor)
    sale(journal)
    nor.stuck = tuple(range(64 + 32, 9 * 256))
    assert sale(journal, 2) == 2
    again = opened(nor)
    assert sale(again, 3) == 3
    assert [item.amount for item in opened(nor).records(1)] == [100, 2, 3]


def test_header_that_takes_no_bytes_is_erased_once_more():
    nor = Nor()
    journal = opened(nor)
    for _ in range(SLOTS):
        sale(journal)
    nor.stuck = tuple(range(4096, 4096 + 64))
    erase, erased = nor.erase, []

    def healing(sector):
        erased.append(sector)
        if len(erased) == 2:
            nor.stuck = ()
        erase(sector)

    nor.erase = healing
    assert sale(journal, 7) == SLOTS + 1
    assert erased == [1, 1]
    assert [item.amount for item in opened(nor).records(SLOTS + 1)] == [7]


def test_sector_whose_erase_was_cut_is_erased_again():
    # A header is cut, then the erase of its sector, which reads as blank by then: its cells hold nothing yet.
    nor = Nor()
    journal = opened(nor)
    for _ in range(SLOTS):
        sale(journal)
    weak = [True]
    erase = nor.erase

    def strong(sector):
        erase(sector)
        weak[0] = False

    def weakly(sector):
        erase(sector)
        raise PowerCut()

    nor.erase = weakly
    try:
        sale(journal, 7)
        raise AssertionError("the power went")
    except PowerCut:
        pass
    nor.erase = strong
    assert sale(opened(nor), 8) == SLOTS + 1
    assert not weak[0]
    assert opened(nor).next_seq == SLOTS + 2


def test_rot_in_the_newest_header_is_found():
    # Else the sector would count as never begun, and its records, unsent ones too, would be erased.
    for before in (3, SLOTS + 3):
        nor = Nor()
        journal = opened(nor)
        for _ in range(before):
            sale(journal)
        nor.cells[before // SLOTS * 4096 + 20] ^= 1
        kept = bytes(nor.cells)
        assert fault_of(opened_later(nor)) == errors.JOURNAL_BROKEN
        assert bytes(nor.cells) == kept


def test_rest_of_an_older_sector_is_no_rot():
    nor = Nor(3)
    journal = opened(nor)
    for _ in range(3 * SLOTS):
        sale(journal)
    journal.acknowledge(journal.next_seq)
    # The erase of the oldest sector was cut: its header is gone, the tail of its old records is left.
    nor.cells[:2048] = b"\xff" * 2048
    again = opened(nor)
    assert sale(again) == 3 * SLOTS + 1


def test_unacknowledged_ring_fills_and_never_overwrites():
    nor = Nor(3)
    journal = opened(nor)
    for amount in range(3 * SLOTS):
        sale(journal, amount + 1)
    assert fault_of(lambda: sale(journal)) == errors.JOURNAL_FULL
    assert journal.oldest_seq == 1
    journal.acknowledge(SLOTS + 1)
    assert sale(journal, 9) == 3 * SLOTS + 1
    assert journal.oldest_seq == SLOTS + 1
    assert [item.amount for item in opened(nor).records(3 * SLOTS)] == [3 * SLOTS, 9]


def test_money_stays_within_the_backup_horizon():
    nor = Nor(2)
    journal = opened(nor, horizon_days=35)
    for _ in range(2 * SLOTS):
        sale(journal)
    journal.acknowledge(journal.next_seq)
    assert fault_of(lambda: sale(journal, day=20034)) == errors.JOURNAL_FULL
    assert sale(journal, day=20035) == 2 * SLOTS + 1


def test_acknowledgement_ahead_of_the_head_is_a_fault():
    journal = opened(Nor())
    sale(journal)
    assert fault_of(lambda: journal.acknowledge(3)) == errors.SEQ_FUTURE
    assert journal.acked == 1
    journal.acknowledge(2)
    journal.acknowledge(1)
    assert journal.acked == 2


def test_day_is_known_when_the_newest_sector_is_empty():
    nor = Nor()
    journal = opened(nor)
    for _ in range(SLOTS):
        sale(journal, day=20007)
    nor.cut_after = 64 + 3
    try:
        sale(journal, day=20007)
    except PowerCut:
        nor.cut_after = None
    again = opened(nor)
    assert again.next_seq == SLOTS + 1
    assert again.last_day == 20007


def test_journal_that_is_broken_takes_nothing_and_stays_broken():
    """The newest record rots in a running device, which goes on: the next start finds the hole, for good."""
    nor = Nor()
    journal = opened(nor)
    for amount in range(1, 11):
        sale(journal, amount)
    nor.cells[64 + 32 * 9 + 20] ^= 4
    sale(journal, 11)
    broken = Journal(nor, KEY, 7, 1, 0)
    assert fault_of(broken.open) == errors.JOURNAL_BROKEN
    before = bytes(nor.cells)
    assert fault_of(lambda: sale(broken)) == errors.JOURNAL_BROKEN
    assert bytes(nor.cells) == before
    assert fault_of(opened_later(nor)) == errors.JOURNAL_BROKEN
    assert fault_of(lambda: sale(Journal(Nor(), KEY, 7, 1, 0))) == errors.JOURNAL_BROKEN
