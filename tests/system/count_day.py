"""An independent count of a school's day: what the product must report, from the CSV files alone.

It imports nothing of the product, on purpose: its own way of reading files, its own rules of the first day,
written down here once more. It is used to check the product and must not be mended to agree with it.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from pathlib import Path

REPEAT_S = 3


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a file in UTF-8 or cp1251, with `;` or `,`."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1251")
    delimiter = ";" if ";" in text.splitlines()[0] else ","
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def kopecks(text: str) -> int:
    """`85.00` as 8500; a plain amount is expected."""
    roubles, _, rest = text.partition(".")
    return int(roubles) * 100 + int(rest.ljust(2, "0"))


def seconds(text: str) -> int:
    """Seconds since midnight of HH:MM:SS."""
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


class School:
    """What the files of a school say before the day."""

    def __init__(self, folder: Path) -> None:
        self.active = {
            row["student_id"] for row in rows_of(folder / "students.csv") if row["status"] == "active"
        }
        self.owner = {row["credential"].upper(): row["student_id"] for row in rows_of(folder / "cards.csv")}
        adults = defaultdict(set)
        for row in rows_of(folder / "parents.csv"):
            adults[row["student_id"]].add(re.sub(r"\D", "", row["phone"])[-10:])
        self.adults = {pupil: len(phones) for pupil, phones in adults.items()}
        self.purse: dict[str, int] = defaultdict(int)
        seen = set()
        for row in rows_of(folder / "topups.csv"):
            if row["bank_ref"] not in seen:
                seen.add(row["bank_ref"])
                self.purse[row["student_id"]] += kopecks(row["amount_rub"])
        # A meal is sold from the first second of `from` to the last second of the minute `to`.
        self.menu = [
            (seconds(row["from"] + ":00"), seconds(row["to"] + ":59"), kopecks(row["price_rub"]))
            for row in rows_of(folder / "menu.csv")
        ]

    def price_at(self, second: int) -> int | None:
        """What the meal of the hour costs, or None when nothing is on sale."""
        return next((price for begin, end, price in self.menu if begin <= second <= end), None)


def count(folder: Path) -> dict[str, int]:
    """The numbers that `klasskart demo --once --json` must print for this folder, but `seconds`."""
    school = School(folder)
    tally: Counter[str] = Counter()
    accepted: dict[tuple[str, str], int] = {}
    taps = sorted(rows_of(folder / "day.csv"), key=lambda row: seconds(row["time"]))
    for row in taps:
        at, credential = seconds(row["time"]), row["credential"].upper()
        pupil = school.owner.get(credential)
        before = accepted.get((row["device"], credential))
        if before is not None and at - before <= REPEAT_S:
            tally["repeated_taps_ignored"] += 1
        elif pupil is None:
            tally["unknown_cards"] += 1
        elif pupil not in school.active:
            tally["declined"] += 1
        elif row["device"].startswith("gate"):
            accepted[row["device"], credential] = at
            count_passage(tally, school, pupil, row)
        elif count_sale(tally, school, pupil, at):
            accepted[row["device"], credential] = at
    # Two records for each opening (opened, then turned or not), one for each sale and each refusal.
    openings = tally["entries"] + tally["exits"] + tally["taps_without_passage"]
    records = 2 * openings + tally["sales"] + tally["declined"] + tally["unknown_cards"]
    names = (
        "entries", "exits", "taps_without_passage", "sales", "sales_minor", "declined", "unknown_cards",
        "repeated_taps_ignored", "messages",
    )  # fmt: skip
    return {
        "taps": len(taps),
        **{name: tally[name] for name in names},
        "records_posted": records,
        "books_sum_minor": 0,
        "purses_minor": sum(school.purse.values()),
        "unsettled": 0,
    }


def count_passage(tally: Counter[str], school: School, pupil: str, row: dict[str, str]) -> None:
    """One opening of a gate: an entry or exit when the rotor turned."""
    if row["passes"] == "yes":
        tally["entries" if row["reader"] == "in" else "exits"] += 1
        tally["messages"] += school.adults.get(pupil, 0)
    else:
        tally["taps_without_passage"] += 1


def count_sale(tally: Counter[str], school: School, pupil: str, at: int) -> bool:
    """One tap of a known, active card at a line: a sale when the purse suffices."""
    price = school.price_at(at)
    if price is None or school.purse[pupil] < price:
        tally["declined"] += 1
        return False
    school.purse[pupil] -= price
    tally["sales"] += 1
    tally["sales_minor"] += price
    tally["messages"] += school.adults.get(pupil, 0)
    return True
