"""Power cut at every byte of every record type in every order of two records.

Each pair is written once to count its bytes; then the power goes at each of
them, with none, some or all bits of that byte programmed.  After the boot the
journal holds a prefix of what was written, whole, and goes on.
"""

from protocols.ledger import record
from protocols.ledger.journal import SLOTS, Journal
from tests.protocols.nor import Nor, PowerCut

KEY = bytes(range(32))
DAY = 20697
# Type, flags, account, amount, aux: one typical record of each.
EXAMPLES = (
    (record.BOOT, 0, 0x11223344, 0, 0x55667788),
    (record.INCARN, 0, 0x0BADCAFE, 0, 7),
    (record.GRANT, 0, 77, 50000, 0),
    (record.RETURN, 0, 77, 41500, 0),
    (record.ITEM, 0, 77, 4500, 2 << 16 | 12),
    (record.SALE, record.SALE_SINGLE, 77, 8500, 0x34120001),
    (record.VOID, record.SALE_SINGLE, 77, 8500, 1),
    (record.PASS, record.PASS_OPENED, 78, 0, 0xDEADBEEF),
    (record.TABLE, record.TABLE_ACCOUNTS, 0, 0, 3),
    (record.CLOCK, 0, 0, -3600, 0),
    (record.CLOSE_DAY, 0, 0, 6, 5),
    (record.NOTE, record.NOTE_REFUSED_TAP, 0, 21, 0xFEEDFACE),
)
# What a cut byte may be left as: untouched, half programmed, or done.
CUT_BITS = (0xFF, 0x0F, 0x00)


def opened(nor):
    journal = Journal(nor, KEY, 7, 1, 0)
    journal.open()
    return journal


def write(journal, example):
    kind, flags, account, amount, aux = example
    return journal.append(kind, flags, DAY, 1788220800, account, amount, aux)


def brief(journal, after):
    return [
        (item.type, item.flags, item.account, item.amount, item.aux) for item in journal.records(after + 1)
    ]


def cut_pair(start, filled, pair, cut, bits):
    """Write a pair with a cut; what the journal holds of it after the boot, and after one more record."""
    nor = Nor(2)
    nor.cells[:] = start
    nor.cut_bits = bits
    journal = opened(nor)
    nor.cut_after = cut
    told = 0
    try:
        for example in pair:
            write(journal, example)
            told += 1
    except PowerCut:
        pass
    nor.cut_after = None
    again = opened(nor)
    kept = brief(again, filled)
    assert kept == list(pair[: len(kept)]), (pair, cut, bits)
    assert len(kept) >= told, (pair, cut, bits)
    write(again, EXAMPLES[0])
    assert brief(opened(nor), filled) == kept + [EXAMPLES[0]], (pair, cut, bits)  # noqa: RUF005
    return told == len(pair)


def walk(filled, pairs, cut_bits):
    nor = Nor(2)
    journal = opened(nor)
    for _ in range(filled):
        write(journal, EXAMPLES[5])
    start = bytes(nor.cells)
    cuts = 0
    for pair in pairs:
        for bits in cut_bits:
            cut = 0
            while not cut_pair(start, filled, pair, cut, bits):
                cut += 1
            cuts += cut
    return cuts


def all_pairs():
    return [(first, second) for first in EXAMPLES for second in EXAMPLES]


def test_every_type_has_an_example():
    assert sorted(example[0] for example in EXAMPLES) == sorted(record.TYPES)


def test_cut_in_every_pair_of_records():
    assert walk(0, all_pairs(), (0x0F,)) == 144 * 64


def test_cut_byte_may_hold_any_bits():
    assert walk(3, [(EXAMPLES[5], EXAMPLES[7]), (EXAMPLES[2], EXAMPLES[5])], CUT_BITS) == 2 * 3 * 64


def test_cut_while_a_sector_is_begun():
    # The second record needs a new sector: its erase and its header are cut too.
    assert walk(SLOTS - 1, [(EXAMPLES[5], EXAMPLES[2])], CUT_BITS) == 3 * (64 + 64 + 1)
