"""A stand without boards and cloud: trails whose stations the test reaches itself."""

from scripts.play.panel.app import Good, Place, Pupil, Setting
from scripts.play.panel.trail import Trails

TOKEN = "launch-token"
PLACES = tuple(
    Place(*place)
    for place in [
        ("gate-1", "in"),
        ("gate-1", "out"),
        ("gate-2", "in"),
        ("gate-2", "out"),
        ("line-1", "-"),
        ("line-2", "-"),
    ]
)
NAMES = ("Давыдов Роман", "Романова Дарья", "Оглы-Мамедова Ева-Александра", "Королёва Алия")
PUPILS = [
    Pupil(f"0000000{row}{column}", name, class_name, f"a:0F569FA{column}")
    for row, class_name in enumerate(("1А", "2Б", "11В"))
    for column, name in enumerate(NAMES)
]


def setting(port):
    """The panel's settings at a port."""
    return Setting(
        port=port,
        token=TOKEN,
        places=PLACES,
        time_zone="Europe/Moscow",
        currency="RUB",
        menu="08:00–10:59 · 85,00 ₽",
        goods=(Good(1, "Завтрак", "Breakfast"), Good(2, "Обед", "Lunch")),
        parents_url="http://127.0.0.1:1/",
        office_url="http://127.0.0.1:1/office",
    )


class StandModel:
    """Keeps what was tapped; `stories` is called with each new trail's number and tells what happens."""

    def __init__(self, story=None):
        self.trails = Trails()
        self.tapped = []
        self.story = story
        self.people = list(PUPILS)

    def tap(self, choice, who):
        trail = self.trails.open(choice, who)
        self.tapped.append(choice)
        if self.story:
            self.story(self.trails, trail.number)
        return trail

    def trail(self, number):
        return self.trails.get(number)

    def elapsed_ms(self, number):
        return self.trails.elapsed_ms(number)

    def pupils(self):
        return self.people

    def unknown_credential(self):
        return "a:FFFFFFFF"


def sale(trails, number):
    """A sale with two messages."""
    trails.reach(number, "light", "done", verdict="served", refusal=0)
    trails.reach(number, "record", "done", seq=7)
    postings = {"purse:0000002a": -14000, "caterer:1": 14000}
    trails.reach(number, "books", "done", entries=[{"entry_id": 5417, "postings": postings}])
    trails.reach(number, "message", "done", messages=["Роман: обед в 12:10, 140,00 ₽"] * 2)
    trails.close(number)


def void(trails, number):
    """That sale is taken back."""
    trails.reach(number, "light", "done", verdict="voided", refusal=0)
    trails.reach(number, "record", "done", seq=8)
    postings = {"caterer:1": -14000, "purse:0000002a": 14000}
    trails.reach(number, "books", "done", entries=[{"entry_id": 5418, "postings": postings}])
    trails.reach(number, "message", "none", timed=False, reason="no_event")
    trails.close(number)


def kept(trails, number):
    """It was taken back before."""
    trails.reach(number, "light", "done", verdict="kept", refusal=38)
    for name in ("record", "books", "message"):
        trails.reach(number, name, "none", timed=False, reason="kept")
    trails.close(number)


def entry(trails, number):
    """Somebody walks in."""
    trails.reach(number, "light", "done", verdict="go", refusal=0)
    trails.reach(number, "record", "done", seq=7)
    trails.reach(number, "record", "done", stage="turned", passage_seq=8)
    trails.reach(number, "books", "done", entries=[])
    trails.reach(number, "message", "done", messages=["Роман: вход в школу 08:12"])
    trails.close(number)


def refusal(trails, number):
    """A card that nobody knows."""
    trails.reach(number, "light", "done", verdict="ask", refusal=21)
    trails.reach(number, "record", "done", seq=7)
    trails.reach(number, "books", "done", entries=[])
    trails.reach(number, "message", "none", timed=False, reason="no_event")
    trails.close(number)


def repeat(trails, number):
    """The same card again."""
    trails.reach(number, "light", "done", verdict="repeat", refusal=20)
    for name in ("record", "books", "message"):
        trails.reach(number, name, "none", timed=False, reason="repeat")
    trails.close(number)


def nothing_yet(trails, number):
    """The board is silent."""
