"""The record's bytes against golden vectors, and the chain over them."""

import json

from protocols import errors
from protocols.ledger import record
from protocols.mac import Hmac


def vectors():
    with open("protocols/vectors/record.json") as file:
        return json.load(file)


def test_records_match_the_vectors():
    data = vectors()
    key = bytes.fromhex(data["chain_key"])
    mac = record.genesis(key, data["device"], data["epoch"])
    assert mac == bytes.fromhex(data["genesis"])
    for row in data["records"]:
        item = record.Record(*row["fields"])
        body = record.pack_body(item)
        mac = record.next_mac(Hmac(key), mac, body)
        raw = record.seal(body, mac)
        assert raw == bytes.fromhex(row["raw"])
        assert mac == bytes.fromhex(row["mac"])
        assert record.unpack(raw) == item


def test_draft_matches_the_vectors():
    data = vectors()
    chain = Hmac(bytes.fromhex(data["chain_key"]))
    mac = bytes.fromhex(data["genesis"])
    draft = record.Draft()
    for row in data["records"]:
        draft.fill(*row["fields"])
        mac = draft.seal(chain, mac)
        assert mac == bytes.fromhex(row["mac"])
        assert draft.raw == bytes.fromhex(row["raw"])


def test_fits_says_what_pack_body_says():
    limits = ((0, 0xFF), (0, 0xFF), (0, 0xFFFF)) + ((0, 0xFFFFFFFF),) * 3
    limits += ((-0x80000000, 0x7FFFFFFF), (0, 0xFFFFFFFF))
    for position, (least, most) in enumerate(limits):
        for value in (least, most, least - 1, most + 1, -most - 2, most << 8):
            fields = [record.SALE, 1, 20000, 1, 1788220800, 5, 100, 1]
            fields[position] = value
            try:
                record.pack_body(tuple(fields))
                is_packed = True
            except errors.Fault:
                is_packed = False
            assert record.fits(*fields) == is_packed == (least <= value <= most)


def test_damaged_record_is_a_fault():
    row = vectors()["records"][0]
    raw = bytearray(bytes.fromhex(row["raw"]))
    assert record.crc_ok(raw)
    for index in range(record.SIZE):
        raw[index] ^= 0x10
        assert not record.crc_ok(raw)
        raw[index] ^= 0x10


def test_foreign_tag_breaks_the_chain():
    data = vectors()
    raw = bytes.fromhex(data["records"][0]["raw"])
    chain = Hmac(bytes.fromhex(data["chain_key"]))
    assert record.follow(chain, bytes.fromhex(data["genesis"]), raw)
    assert record.follow(chain, bytes(32), raw) == b""


def test_fields_out_of_range_are_named():
    for position, value in ((0, 256), (2, 65536), (3, -1), (6, 1 << 31)):
        fields = [record.SALE, 1, 20000, 1, 1788220800, 5, 100, 1]
        fields[position] = value
        try:
            record.pack_body(record.Record(*fields))
            refused = ""
        except errors.Fault as fault:
            refused = fault.thing
        assert refused == "record." + ("type", "", "day", "seq", "", "", "amount")[position]


def test_aux_carries_good_and_card():
    assert record.good_aux(7, b"\x12\x34\x56\x78") == 0x34120007
    assert record.tap_aux(b"\x12\x34\x56\x78\x9a") == 0x78563412


def test_benefits_and_credit_pay_for_hot_meals_only():
    single, credit, benefit = record.SALE_SINGLE, record.FROM_CREDIT, record.FROM_BENEFIT
    lunch = 2 << record.SALE_MEAL_SHIFT
    for meal in (0, 2):
        good = [flags for flags in range(256) if record.is_single_sale(flags, meal)]
        money = [single, single | record.SALE_WEAK]
        meals = [single | credit, single | benefit | lunch] if meal else []
        assert good == sorted(money + meals)


def test_day_without_a_clock_has_no_benefits():
    kinds = {record.benefit_bucket(day, meal) for day in (0, 1, 20697) for meal in range(1, 8)}
    assert not kinds & {record.MONEY, record.MEAL_CREDIT}
    flags = record.SALE_SINGLE | record.FROM_BENEFIT | 1 << record.SALE_MEAL_SHIFT
    unknown = record.Record(record.SALE, flags, 0, 1, 0, 77, 8500, 0)
    assert record.bucket_of(unknown) == 7
    assert record.bucket_of(record.Record(record.SALE, flags, 20697, 1, 0, 77, 8500, 0)) == 20697 * 8 + 1
