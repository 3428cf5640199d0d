"""What the panel says, in Russian and in English, and how a station of a trail is put into words.

Every key is there in both languages (a test looks). No declined names and no gendered verbs; nothing that a
child could see tells of money. Amounts and times are written by cloud.formats, like on every other page.
"""

from dataclasses import dataclass

from cloud.formats import SchoolTime, device_name, money
from protocols.errors import (
    CARD_BLOCKED,
    CARD_COPY,
    CARD_UNKNOWN,
    NOT_IN_MENU,
    NOTHING_ON_SALE,
    RIGHTS_SHORT,
    VOID_DIFFERS,
    VOID_TWICE,
    WEAK_LIMIT,
)
from scripts.play.panel.trail import STATIONS, Station, Trail

WORDS: dict[str, tuple[str, str]] = {
    "title": ("Стенд", "Tap panel"),
    "heading": ("Путь одного касания", "The way of one tap"),
    "lead": (
        "Приложите карту к турникету или к линии столовой и посмотрите, что узнают школа и родитель.",
        "Hold a card to a gate or a canteen line and watch what school and parent learn.",
    ),
    "who": ("Чья карта", "Whose card"),
    "no_pupils": (
        "Облако ещё не ответило. Обновите страницу через несколько секунд.",
        "The cloud has not answered yet. Reload the page in a few seconds.",
    ),
    "unknown_card": ("Неизвестная карта", "An unknown card"),
    "unknown_hint": ("её нет ни у кого в школе", "nobody in the school has it"),
    "where": ("Где", "Where"),
    "in": ("внутрь", "in"),
    "out": ("наружу", "out"),
    "when": ("Когда", "When"),
    "now": ("Сейчас", "Now"),
    "at_time": ("В другое время сегодня", "At another time today"),
    "time_label": ("Время касания", "Time of the tap"),
    "menu_hint": ("В столовой продают: {menu}.", "The canteen sells: {menu}."),
    "rung_up": ("Что пробить", "What to ring up"),
    "rung_up_hint": (
        "Только для линии. Ничего не выбрано: линия сама продаёт то, что продают в этот час.",
        "For a line only. Nothing chosen: the line itself sells what this hour sells.",
    ),
    "stays": ("У турникета: не проходить", "At a gate: do not walk through"),
    "tap": ("Приложить карту", "Hold the card"),
    "result": ("Что произошло", "What happened"),
    "empty": (
        "Здесь по порядку появятся свет, запись, книги и сообщение.",
        "Light, record, books and message will appear here, in that order.",
    ),
    "light": ("Свет", "Light"),
    "record": ("Запись", "Record"),
    "books": ("Книги", "Books"),
    "message": ("Сообщение", "Message"),
    "public": ("Видно всем", "Public"),
    "private": ("Только родителю", "Parent only"),
    "ms": ("{ms} мс", "{ms} ms"),
    "waiting": ("Ждём…", "Waiting…"),
    "stuck_light": (
        "Плата молчит. Касание дождётся её.",
        "The board is silent. The tap waits for it.",
    ),
    "stuck_books": (
        "Нет связи с облаком. Запись ждёт на плате и не потеряется.",
        "No line to the cloud. The record waits on the board and is not lost.",
    ),
    "late": ("Ответа пока нет. Запись остаётся на плате.", "No answer yet. The record stays on the board."),
    "go": ("Проходите", "Please pass"),
    "served": ("Выдано", "Served"),
    "ask_gate": ("Подойдите к дежурному", "Please see the guard"),
    "ask_line": (
        "Подойдите к классному руководителю. Горячее можно выдать",
        "Please see the class teacher. A hot meal is fine",
    ),
    "repeat": ("Повтор: прежний свет", "Repeated: the light stays"),
    "voided": ("Продажа отменена", "The sale is taken back"),
    "kept": ("Отмены нет", "Nothing is taken back"),
    "void": ("Отменить эту продажу", "Take this sale back"),
    "void_hint": (
        "Так делает кассир: только на своей плате, целиком, один раз и в тот же день.",
        "The cashier may do it: on the same board, whole, once and on the same day.",
    ),
    "void_light": (
        "Это делает кассир. Для ребёнка ничего не загорается.",
        "The cashier does it. No light goes on for the child.",
    ),
    "record_voided": ("Запись {seq}: отмена продажи, {time}", "Record {seq}: a sale taken back, {time}"),
    "why_twice": ("эту продажу уже отменили", "this sale was taken back before"),
    "why_void_day": ("день продажи уже кончился", "the day of the sale is over"),
    "light_same": (
        "Остатка на карте отсюда не узнать: свет, слова и звук для всех одинаковы.",
        "The balance cannot be told from here: light, words and sound are the same for all.",
    ),
    "repeat_why": (
        "Та же карта в течение трёх секунд: второе касание не считается.",
        "The same card within three seconds: the second tap does not count.",
    ),
    "record_go": ("Запись {seq}: проход открыт, {time}", "Record {seq}: gate opened, {time}"),
    "record_turned": ("Запись {seq}: ротор повернулся", "Record {seq}: the rotor turned"),
    "record_not_turned": ("Запись {seq}: никто не прошёл", "Record {seq}: nobody passed"),
    "record_served": ("Запись {seq}: продажа, {time}", "Record {seq}: a sale, {time}"),
    "record_ask": ("Запись {seq}: отказ, {time}", "Record {seq}: a refusal, {time}"),
    "record_before": (
        "Записано на плату до того, как зажёгся свет. Имени и остатка в записи нет.",
        "Written on the board before the light. No name and no balance in it.",
    ),
    "record_none": ("Новой записи нет.", "No new record."),
    "books_passage": (
        "Запись принята. Денег не было, проход отмечен в посещаемости.",
        "The record is accepted. No money moved, the passage is noted.",
    ),
    "books_opened": (
        "Запись принята. Прохода не было, отмечать нечего.",
        "The record is accepted. Nobody passed, there is nothing to note.",
    ),
    "books_refused": ("Запись принята. Деньги не двигались.", "The record is accepted. No money moved."),
    "books_why": ("Причина отказа: {why}.", "Why it was refused: {why}."),
    "books_sale": ("Проводка {entry}", "Entry {entry}"),
    "books_none": ("Книги не меняются.", "The books do not change."),
    "purse": ("Кошелёк ребёнка", "The child's purse"),
    "caterer": ("Столовая", "The canteen"),
    "message_to": ("Отправлено взрослым: {count}", "Sent to adults: {count}"),
    "message_none": ("Сообщать не о чем.", "Nothing to tell."),
    "message_no_adult": ("У ребёнка нет взрослых с телефоном.", "The child has no adult with a phone."),
    "why_unknown": ("карта не знакома", "the card is not known"),
    "why_blocked": ("карта закрыта", "the card is closed"),
    "why_copy": ("это копия защищённой карты", "this is a copy of a protected card"),
    "why_weak": (
        "дневной предел карты, которую можно скопировать",
        "the daily limit of a card that can be copied",
    ),
    "why_nothing": ("в этот час ничего не продают", "nothing is on sale at this hour"),
    "why_menu": ("такого в меню нет", "the menu has no such good"),
    "why_short": ("на обед не хватает денег", "the purse does not reach for the meal"),
    "why_other": ("номер {number}", "number {number}"),
    "parents_page": ("Страница родителя", "The parents' page"),
    "office_page": ("Школа", "The office"),
    "language": ("Язык", "Language"),
    "choose_first": ("Сначала выберите, чья карта.", "First choose whose card it is."),
    "bad_time": ("Укажите время, например 12:10.", "Give a time, like 12:10."),
    "bad_quantity": ("Количество: от 0 до 9.", "A quantity is 0 to 9."),
    "bad_choice": ("Такого места нет. Выберите из списка.", "There is no such place. Choose from the list."),
}
_WHY = {
    CARD_UNKNOWN: "why_unknown",
    CARD_BLOCKED: "why_blocked",
    CARD_COPY: "why_copy",
    WEAK_LIMIT: "why_weak",
    NOTHING_ON_SALE: "why_nothing",
    NOT_IN_MENU: "why_menu",
    RIGHTS_SHORT: "why_short",
    VOID_TWICE: "why_twice",
    VOID_DIFFERS: "why_void_day",
}
_LANGUAGES = ("ru", "en")
PRIVATE = ("books", "message")


def say(language: str, key: str, **values: object) -> str:
    """The words of a key with its values filled in."""
    return WORDS[key][_LANGUAGES.index(language)].format(**values)


@dataclass(frozen=True)
class Column:
    """One station as the page shows it. `look` names the colours and sign of a verdict."""

    name: str
    title: str
    mark: str
    is_private: bool
    state: str
    time: str
    look: str
    answer: str
    lines: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Teller:
    """Puts trails into words of one language."""

    language: str
    currency: str
    times: SchoolTime

    def columns(self, trail: Trail | None, elapsed_ms: int = 0) -> list[Column]:
        """The four columns; without a trail they are empty."""
        return [self._column(name, trail, elapsed_ms) for name in STATIONS]

    def place(self, device: str, reader: str) -> str:
        """`Вход 1, наружу` or `Line 2`."""
        name = device_name(device, self.language)
        return name if reader == "-" else f"{name}, {say(self.language, reader)}"

    def _say(self, key: str, **values: object) -> str:
        return say(self.language, key, **values)

    def _column(self, name: str, trail: Trail | None, elapsed_ms: int) -> Column:
        station = trail.stations[name] if trail else Station(state="empty")
        look = answer = ""
        lines: tuple[str, ...] = ()
        rows: tuple[tuple[str, str], ...] = ()
        quotes: tuple[str, ...] = ()
        if trail and station.state == "waiting":
            lines = self._waiting(name, trail, elapsed_ms)
        elif trail and name == "light":
            look, answer, lines = self._light(trail, station)
        elif trail and name == "record":
            lines = self._record(trail, station)
        elif trail and name == "books":
            lines, rows = self._books(trail, station)
        elif trail:
            lines, quotes = self._message(station)
        is_private = name in PRIVATE
        return Column(
            name=name,
            title=self._say(name),
            mark=self._say("private" if is_private else "public"),
            is_private=is_private,
            state=station.state,
            time=self._say("ms", ms=station.ms) if station.ms is not None else "",
            look=look,
            answer=answer,
            lines=lines,
            rows=rows,
            quotes=quotes,
        )

    def _waiting(self, name: str, trail: Trail, elapsed_ms: int) -> tuple[str, ...]:
        """What stands where nothing has come yet; words only after a second, as on every page."""
        if trail.is_over:
            return (self._say("late"),)
        if elapsed_ms < 1000:
            return ()
        is_next = all(
            trail.stations[before].state != "waiting" for before in STATIONS[: STATIONS.index(name)]
        )
        if not is_next:
            return ()
        return (self._say({"light": "stuck_light", "books": "stuck_books"}.get(name, "waiting")),)

    def _light(self, trail: Trail, station: Station) -> tuple[str, str, tuple[str, ...]]:
        kind = str(station.facts["verdict"])
        if kind == "ask":
            return (
                "ask",
                self._say("ask_gate" if trail.choice.reader != "-" else "ask_line"),
                (self._say("light_same"),),
            )
        if kind == "repeat":
            return "repeat", self._say("repeat"), (self._say("repeat_why"),)
        if kind == "voided":
            return "", self._say("voided"), (self._say("void_light"),)
        if kind == "kept":
            return "", self._say("kept"), (self._why(int(str(station.facts["refusal"]))),)
        return "served", self._say(kind), (self._say("light_same"),)

    def _record(self, trail: Trail, station: Station) -> tuple[str, ...]:
        if station.state == "none":
            return (self._say("record_none"),)
        kind = str(trail.stations["light"].facts["verdict"])
        time = self.times.clock(trail.choice.at, seconds=True)
        lines = [self._say(f"record_{kind}", seq=station.facts["seq"], time=time)]
        if "stage" in station.facts:
            lines.append(self._say(f"record_{station.facts['stage']}", seq=station.facts["passage_seq"]))
        return (*lines, self._say("record_before"))

    def _books(self, trail: Trail, station: Station) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        if station.state == "none":
            return (self._say("books_none"),), ()
        entries = station.facts.get("entries")
        if isinstance(entries, list) and entries:
            rows = [
                (self._account(str(code)), money(int(amount), self.currency, self.language, plus=True))
                for entry in entries
                for code, amount in sorted(entry["postings"].items(), key=lambda part: int(part[1]))
            ]
            return tuple(self._say("books_sale", entry=entry["entry_id"]) for entry in entries), tuple(rows)
        light = trail.stations["light"].facts
        if light["verdict"] == "ask":
            return (self._say("books_refused"), self._why(int(str(light["refusal"])))), ()
        return (self._say("books_passage" if trail.choice.walks else "books_opened"),), ()

    def _why(self, refusal: int) -> str:
        key = _WHY.get(refusal)
        why = self._say(key) if key else self._say("why_other", number=refusal)
        return self._say("books_why", why=why)

    def _account(self, code: str) -> str:
        return self._say({"purse": "purse", "caterer": "caterer"}.get(code.partition(":")[0], "purse"))

    def _message(self, station: Station) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if station.state == "none":
            is_alone = station.facts.get("reason") == "no_adult"
            return (self._say("message_no_adult" if is_alone else "message_none"),), ()
        messages = station.facts.get("messages")
        texts = [str(text) for text in messages] if isinstance(messages, list) else []
        return (self._say("message_to", count=len(texts)),), tuple(dict.fromkeys(texts))
