"""Writers for `bench books`: processes that post sales at the same time, a durable transaction for each."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from cloud import db
from cloud.accounting import service as accounting
from scripts.bench import books_stock

_LEAD_S = 2.0
_PURSES_FIRST = 10_000_000


class Written(NamedTuple):
    """Seconds from the first to the last commit of all writers, and how many sales were refused."""

    seconds: float
    refused: int


def run(url: str, *, writers: int, sales: int, first: int) -> Written:
    """Post `sales` sales by so many writers; `first`: a number that no entry has yet."""
    share = sales // writers
    start_at = time.monotonic() + _LEAD_S
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(writers, mp_context=context) as pool:
        done = [
            pool.submit(_write, url, first + number * share, share, start_at) for number in range(writers)
        ]
        results = [each.result() for each in done]
    started = min(result[0] for result in results)
    return Written(max(result[1] for result in results) - started, sum(result[2] for result in results))


def _write(url: str, first: int, count: int, start_at: float) -> tuple[float, float, int]:
    """(when it began, when it ended, refused), by the clock that all processes share."""
    engine = db.engine(url)
    entries = [_sale(number) for number in range(_PURSES_FIRST + first, _PURSES_FIRST + first + count)]
    with db.reading(engine) as conn:
        accounting.head(conn, books_stock.SCHOOL)
    time.sleep(max(0.0, start_at - time.monotonic()))
    began, refused = time.monotonic(), 0
    for entry in entries:
        with db.begin(engine) as conn:
            (result,) = accounting.post(conn, books_stock.SCHOOL, [entry], entry.happened_at)
        refused += result.refusal != 0
    engine.dispose()
    return began, time.monotonic(), refused


def _sale(number: int) -> accounting.Entry:
    amount_minor = 8500
    lines = ((accounting.purse(1 + number % 800), -amount_minor), (accounting.CATERER, amount_minor))
    return accounting.Entry(f"bench:{number}", "sale", number, lines)
