"""What a message says, in Russian and English.

Promises: the child's first name, what, and when it happened by the school's
clock; no declined name and no gendered verb; one SMS of 70 UTF-16 units at
most, whatever the name and the good are called.  Leaves who gets it and how to
service.py and the channel.
"""

from typing import Any

from cloud.formats import SchoolTime, money
from protocols.money import text_from_minor

UNITS_MAX = 70
_NAME_MAX, _GOOD_MAX = 22, 20
_ELLIPSIS = "…"

_WORDS = {
    ("entry", "ru"): "{name}: вход в школу {clock}",
    ("entry", "en"): "{name}: entered at {clock}",
    ("exit", "ru"): "{name}: выход из школы {clock}",
    ("exit", "en"): "{name}: left at {clock}",
    ("purchase", "ru"): "{name}: {good} в {clock}, {amount}",
    ("purchase", "en"): "{name}: {good} {clock}, {amount}",
    ("card_blocked", "ru"): "{name}: карта закрывается, сообщили в {clock}",
    ("card_blocked", "en"): "{name}: card is being blocked, told at {clock}",
    ("card_used", "ru"): "{name}: попытка с закрытой картой, {clock}",
    ("card_used", "en"): "{name}: blocked card tried at {clock}",
    ("login_code", "ru"): "{code}: код для входа. Никому его не говорите",
    ("login_code", "en"): "{code} is your sign-in code. Tell it to nobody",
}
_SOMETHING = {"ru": "покупка", "en": "purchase"}


def event(
    about: str,
    language: str,
    *,
    name: str,
    happened_at: int,
    time_zone: str,
    good: str = "",
    amount_minor: int = 0,
    currency: str = "RUB",
) -> str:
    """The text about an entry, exit, purchase or closed card."""
    values: dict[str, Any] = {
        "name": shortened(name, _NAME_MAX),
        "clock": SchoolTime(time_zone, language).clock(happened_at),
        "good": shortened(good or _SOMETHING[language], _GOOD_MAX),
        "amount": _amount(amount_minor, currency, language),
    }
    words = _WORDS[about, language]
    if about == "purchase" and not amount_minor:
        # A meal that somebody else pays for has no price for the parents.
        words = words.removesuffix(", {amount}")
    return words.format(**values)


def login_code(language: str, code: str) -> str:
    """The text of a one-time code; the code comes first, where phones show it."""
    return _WORDS["login_code", language].format(code=code)


def units(text: str) -> int:
    """UTF-16 units, as an SMS counts them: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def shortened(text: str, units_max: int) -> str:
    """The text itself, or its beginning with an ellipsis in at most `units_max` UTF-16 units."""
    if units(text) <= units_max:
        return text
    kept = text
    while units(kept) > units_max - 1:
        kept = kept[:-1]
    return kept.rstrip() + _ELLIPSIS


def _amount(amount_minor: int, currency: str, language: str) -> str:
    """As on the pages in Russian; `RUB 96.00` in English, where an SMS has no rouble sign (GSM-7)."""
    if language == "ru":
        return money(amount_minor, currency, language)
    return f"{currency} {text_from_minor(amount_minor)}"
