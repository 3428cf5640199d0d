"""How amounts, times and days are written, in Russian and in English.

Promises: integers in, text out; no-break spaces, the true minus sign (U+2212), the
school's own time zone, 24 hours.  Leaves words ("came", "left") to the templates and
knows nothing of requests, so that pages, letters and tests share it.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date

from protocols.money import text_from_minor

LANGUAGES = ("ru", "en")
DEFAULT_LANGUAGE = "ru"
NO_BREAK = "\u00a0"
MINUS = "\u2212"
# A device that has not been told the time counts from 1970: anything before this is "not known".
_CLOCKS_ARE_SET = 1_577_836_800  # 2020-01-01
_SIGNS = {"RUB": "\u20bd"}
_EPOCH = date(1970, 1, 1).toordinal()
_TODAY = {"ru": "сегодня", "en": "today"}
_YESTERDAY = {"ru": "вчера", "en": "yesterday"}
_DEVICE_NAMES = {
    "gate": {"ru": "Вход", "en": "Gate"},
    "line": {"ru": "Линия", "en": "Line"},
}


def money(amount_minor: int, currency: str, language: str, *, plus: bool = False) -> str:
    """`1 234,50 ₽` in Russian, `₽1,234.50` in English; `plus` writes the sign of a gain too."""
    whole, _, part = text_from_minor(abs(amount_minor)).partition(".")
    sign = MINUS if amount_minor < 0 else "+" if plus and amount_minor > 0 else ""
    symbol = _SIGNS.get(currency, currency)
    if language == "ru":
        return f"{sign}{_grouped(whole, NO_BREAK)},{part}{NO_BREAK}{symbol}"
    gap = "" if currency in _SIGNS else NO_BREAK
    return f"{sign}{symbol}{gap}{_grouped(whole, ',')}.{part}"


def count(number: int, language: str) -> str:
    """A whole number with its thousands apart: `1 821` or `1,821`."""
    return _grouped(str(number), NO_BREAK if language == "ru" else ",")


def device_name(label: str, language: str) -> str:
    """The name people know a device by: `gate-1` is `Вход 1`; a label of another shape stays as it is."""
    known = re.fullmatch(r"(gate|line)-(\d+)", label)
    if known is None:
        return label
    return f"{_DEVICE_NAMES[known[1]][language]}{NO_BREAK}{int(known[2])}"


def class_name(name: str, language: str) -> str:
    """A school class: `2Б` is `2 «Б»` in Russian and stays `2Б` in English."""
    shape = re.fullmatch(r"(\d{1,2})\s*([А-ЯЁ])", name)
    if shape is None or language != "ru":
        return name
    return f"{shape[1]}{NO_BREAK}«{shape[2]}»"


def is_known_time(moment: int) -> bool:
    """Whether a device's clock was set when it wrote this time."""
    return moment >= _CLOCKS_ARE_SET


def sentence(words: str) -> str:
    """Words with a capital first letter, to stand alone on a line."""
    return words[:1].upper() + words[1:]


def hidden_phone(phone: str) -> str:
    """A phone with only its last four digits to be seen, enough to notice a slip of the finger."""
    digits = re.sub(r"\D", "", phone)
    tail = digits[-4:]
    return f"•••{NO_BREAK}{tail[:2]}{NO_BREAK}{tail[2:]}"


@dataclass(frozen=True)
class SchoolTime:
    """Turns UTC seconds into what the school's wall clock and calendar say."""

    zone: str
    language: str

    def local(self, moment: int) -> datetime:
        return datetime.fromtimestamp(moment, ZoneInfo(self.zone))

    def day(self, moment: int) -> int:
        """Days since 1970-01-01 by the school's calendar, as device records count them."""
        return self.local(moment).date().toordinal() - _EPOCH

    def day_bounds(self, day: int) -> tuple[int, int]:
        """The first second of a school day and the first second of the next one, in UTC."""
        zone = ZoneInfo(self.zone)
        first = date.fromordinal(day + _EPOCH)
        after = date.fromordinal(day + _EPOCH + 1)
        return (
            int(datetime(first.year, first.month, first.day, tzinfo=zone).timestamp()),
            int(datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()),
        )

    def day_name(self, day: int) -> str:
        """A day by its number since 1970-01-01: `1 сентября`, with the year."""
        return format_date(date.fromordinal(day + _EPOCH), "d MMMM y", locale=self.language)

    def short_day(self, day: int) -> str:
        """A day by its number since 1970-01-01: `вт 1` or `Tue 1`."""
        return format_date(date.fromordinal(day + _EPOCH), "EEE d", locale=self.language)

    def clock(self, moment: int, *, seconds: bool = False) -> str:
        return self.local(moment).strftime("%H:%M:%S" if seconds else "%H:%M")

    def weekday(self, moment: int) -> str:
        """`вторник, 1 сентября` or `Tuesday, 1 September`."""
        return format_date(self.local(moment).date(), "EEEE, d MMMM", locale=self.language)

    def date(self, moment: int, now: int) -> str:
        """`сегодня`, `вчера`, `1 сентября`; another year is written out."""
        day, today = self.local(moment).date(), self.local(now).date()
        if day == today:
            return _TODAY[self.language]
        if day.toordinal() == today.toordinal() - 1:
            return _YESTERDAY[self.language]
        return self._written(moment, now)

    def _written(self, moment: int, now: int) -> str:
        day = self.local(moment).date()
        pattern = "d MMMM" if day.year == self.local(now).year else "d MMMM y"
        return format_date(day, pattern, locale=self.language)

    def since(self, moment: int, now: int) -> str:
        """A time to stand after "since": `08:12` today, `31 августа, 08:12` on another day."""
        if self.day(moment) == self.day(now):
            return self.clock(moment)
        return f"{self._written(moment, now)}, {self.clock(moment)}"

    def moment(self, moment: int, now: int) -> str:
        """`сегодня, 08:12` or `1 сентября, 08:12`."""
        return f"{self.date(moment, now)}, {self.clock(moment)}"


def _grouped(digits: str, gap: str) -> str:
    return re.sub(r"(?<=\d)(?=(\d{3})+$)", gap, digits)
