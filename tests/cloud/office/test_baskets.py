"""A basket on the pages: its goods by name, for the office down to the record and for the parents."""

import re

from cloud import bulk, db
from cloud.accounting import service as accounting
from protocols.ids import hex8
from protocols.ledger import record
from scripts import sample_school as sample
from tests.cloud.parents.test_today import words
from tests.fixtures.pages import Pages

FIRST = 900
PRICES = {sample.BREAKFAST: 8_500, sample.LUNCH: 14_000}
TOTAL = 2 * 8_500 + 14_000


def write(pages: Pages, seq: int, kind: int, amount: int, aux: int) -> None:
    when = sample.NOW - 60
    item = record.Record(kind, 0, when // 86_400, seq, when, sample.MASHA, amount, aux)
    raw = record.seal(record.pack_body(item), bytes(32))
    row = (sample.SCHOOL, sample.LINE_1, 1, seq, kind, 0, item.day, when, sample.MASHA, amount, aux, raw)
    with db.begin(pages.engine) as conn:
        bulk.insert_rows(conn, db.record, [(*row, when + 1, 0)])


def sell(pages: Pages) -> None:
    """Two breakfasts and a lunch for one tap."""
    for seq, (good, quantity) in enumerate(((sample.BREAKFAST, 2), (sample.LUNCH, 1)), FIRST):
        write(pages, seq, record.ITEM, PRICES[good], record.item_aux(good, quantity))
    write(pages, FIRST + 2, record.SALE, TOTAL, 2)
    lines = ((accounting.purse(sample.MASHA), -TOTAL), (accounting.CATERER, TOTAL))
    entry = accounting.Entry("basket", "sale", sample.NOW - 60, lines, sample.LINE_1, 1, FIRST + 2)
    with db.begin(pages.engine) as conn:
        accounting.post(conn, sample.SCHOOL, [entry], sample.NOW - 59)


def test_office_reads_a_basket_line_by_line(pages: Pages) -> None:
    sell(pages)
    visitor, place = pages.staff(), f"/office/records/{hex8(sample.LINE_1)}"
    seen = words(visitor.get(place).text)
    assert "Завтрак ×2, обед" in seen
    assert "Строка покупки: Завтрак ×2" in seen
    sale = words(visitor.get(f"{place}/1/{FIRST + 2}").text)
    assert "строк покупки: 2, след карты" in sale
    item = words(visitor.get(f"{place}/1/{FIRST}").text)
    assert "товар 1, сколько: 2" in item


def test_parents_read_what_was_in_it(pages: Pages) -> None:
    sell(pages)
    visitor = pages.parent()
    assert "Завтрак ×2, обед" in words(visitor.get("/").text)
    money = visitor.get(f"/money/{hex8(sample.MASHA)}").text
    assert "Завтрак ×2, обед" in words(money)
    link = re.search(r'href="(/money/[0-9a-f]{8}/\d+)"', money)
    assert link is not None
    entry = words(visitor.get(link[1]).text)
    assert "Завтрак ×2, обед" in entry
    assert "строк покупки: 2" in entry
