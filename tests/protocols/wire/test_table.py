"""The account table: looked up in its file, refused when it is not whole."""

import hashlib
import io
import json

from protocols import errors
from protocols.wire import table


def reference(number):
    return hashlib.sha256(b"%d" % number).digest()[:8]


def rows(count):
    return [table.Row(reference(n), n + 1, n * 10, 0, n % 2, 3) for n in range(count)]


def fault_of(call, *values):
    try:
        call(*values)
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_every_card_is_found_and_no_other():
    for count in (0, 1, 12, 13, 640):
        image = table.build(rows(count), 5)
        found = table.Table(io.BytesIO(image))
        assert (found.version, found.rows) == (5, count)
        for row in rows(count):
            assert found.find(row.reference) == row
        for number in range(count, count + 200):
            assert found.find(reference(number)) is None


def test_image_does_not_depend_on_the_order():
    assert table.build(rows(50), 1) == table.build(list(reversed(rows(50))), 1)


def test_two_accounts_for_one_card_are_refused():
    twice = [rows(1)[0], table.Row(reference(0), 99, 0, 0, 0, 0)]
    assert fault_of(lambda: table.build(twice, 1)) == errors.TABLE_SHAPE
    assert fault_of(lambda: table.build([table.Row(reference(0), 0, 0, 0, 0, 0)], 1)) == errors.TABLE_SHAPE


def test_chunks_make_the_image():
    image = table.build(rows(640), 5)
    count = table.chunk_count(len(image))
    assert b"".join(table.chunk(image, index) for index in range(count)) == image
    assert fault_of(lambda: table.chunk(image, count)) == errors.TABLE_CHUNK
    assert fault_of(lambda: table.chunk(image, -1)) == errors.TABLE_CHUNK


def test_one_wrong_byte_changes_the_root():
    image = bytearray(table.build(rows(20), 5))
    expected = table.root(bytes(image))
    table.check_root(io.BytesIO(bytes(image)), expected)
    image[100] ^= 1
    assert fault_of(lambda: table.check_root(io.BytesIO(bytes(image)), expected)) == errors.TABLE_ROOT


def test_broken_files_are_refused():
    image = table.build(rows(20), 5)
    for broken in (b"", image[:31], b"KKT2" + image[4:], image[:8] + b"\x21\0\0\0" + image[12:]):
        assert fault_of(table.Table, io.BytesIO(broken)) == errors.TABLE_SHAPE


def test_full_probe_ends():
    image = bytearray(table.build(rows(12), 5))
    filler = table.Row(b"AAAAAAAA", 1, 0, 0, 0, 0)
    for slot in range(16):
        offset = 32 + slot * 20
        if not any(image[offset + 8 : offset + 12]):
            image[offset : offset + 8] = filler.reference
            image[offset + 8] = 1
    assert table.Table(io.BytesIO(bytes(image))).find(b"ZZZZZZZZ") is None


def test_image_matches_the_vector():
    with open("protocols/vectors/table.json") as file:
        vector = json.load(file)
    rows = [
        table.Row(bytes.fromhex(reference), *values)
        for reference, values in zip(vector["references"], vector["rows"])
    ]
    image = table.build(rows, vector["version"], vector["base_day"], vector["credit_total"])
    assert image == bytes.fromhex(vector["image"])
    found = table.Table(io.BytesIO(image))
    assert (found.base_day, found.credit_total) == (vector["base_day"], vector["credit_total"])


def test_benefits_are_days_times_meals():
    flags = table.CREDIT | table.meal_flag(1) | table.meal_flag(4)
    row = table.Row(reference(1), 7, 0, 0x8005, flags, 0)
    covered = [
        (day, meal) for day in range(95, 120) for meal in range(8) if table.has_benefit(row, 100, day, meal)
    ]
    assert covered == [(100, 1), (100, 4), (102, 1), (102, 4), (115, 1), (115, 4)]
    assert not table.has_benefit(table.Row(reference(1), 7, 0, 0x8005, table.CREDIT, 0), 100, 100, 1)
