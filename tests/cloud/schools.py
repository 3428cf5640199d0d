"""Small schools for the tests of the cloud: rows written directly, without the rooms that own them."""

import itertools

from sqlalchemy import Connection, Engine

from cloud import bulk, db
from protocols.ledger import record

_numbers = itertools.count(0x5C000001)


def add_school(engine: Engine, *, zone: str = "Europe/Moscow") -> int:
    """A school without anybody; returns its number."""
    school_id = next(_numbers)
    with db.begin(engine) as conn:
        names = ["school_id", "name", "time_zone", "incarnation_id"]
        bulk.insert_rows(conn, db.school, [(school_id, "school", zone, 0x1234)], names)
    return school_id


def add_pupils(
    conn: Connection, school_id: int, count: int, *, classes: int = 4, first: int = 1
) -> list[int]:
    """Pupils with a card each (reference = account repeated), spread over classes; returns their accounts."""
    known = bulk.select(conn, "SELECT class_id FROM school_class WHERE school_id = ?", (school_id,))
    if not known:
        rows = [(school_id, number, f"class {number}", None) for number in range(1, classes + 1)]
        bulk.insert_rows(conn, db.school_class, rows)
    accounts = [0xACC00000 + number for number in range(first, first + count)]
    people = [(school_id, account, "last", "first", "") for account in accounts]
    bulk.insert_rows(conn, db.person, people)
    pupils = [
        (school_id, account, account, f"S{account}", 1 + place % classes, 1, "active")
        for place, account in enumerate(accounts)
    ]
    bulk.insert_rows(conn, db.pupil, pupils)
    cards = [(school_id, reference(account), account, "card", "active", 0) for account in accounts]
    columns = ["school_id", "card_ref", "account_id", "kind", "status", "issued_at"]
    bulk.insert_rows(conn, db.card, cards, columns)
    return accounts


def reference(account: int) -> bytes:
    """The card_ref of the only card of one of these pupils."""
    return account.to_bytes(4, "big") * 4


def add_goods(conn: Connection, school_id: int, goods: dict[int, int]) -> None:
    """A menu: good_id to price_minor, each on sale for an hour of its own."""
    rows = [
        (school_id, good_id, f"good {good_id}", "lunch", 60 * place, 60 * place + 59, price)
        for place, (good_id, price) in enumerate(sorted(goods.items()))
    ]
    bulk.insert_rows(conn, db.good, rows)


def add_device(conn: Connection, school_id: int, label: str, kind: str) -> tuple[int, int]:
    """A device without a key of its own; returns (device_id, epoch)."""
    device_id = next(_numbers)
    columns = ["school_id", "device_id", "label", "kind", "epoch"]
    bulk.insert_rows(conn, db.device, [(school_id, device_id, label, kind, 1)], columns)
    columns = ["school_id", "device_id", "epoch", "key_sealed", "next_seq", "head_mac"]
    bulk.insert_rows(conn, db.device_epoch, [(school_id, device_id, 1, b"", 1, bytes(32))], columns)
    return device_id, 1


def add_record(
    conn: Connection,
    school_id: int,
    device: int,
    epoch: int,
    *,
    seq: int,
    account: int,
    amount: int,
    aux: int,
) -> bytes:
    """A sale as it stands in the table; returns its bytes."""
    body = record.pack_body(record.Record(record.SALE, 1, 20000, seq, 11, account, amount, aux))
    raw = record.seal(body, bytes(32))
    row = (school_id, device, epoch, seq, record.SALE, 1, 20000, 11, account, amount, aux, raw, 12, 0)
    bulk.insert_rows(conn, db.record, [row])
    return raw
