"""Puts the panel together: a stand over the town's hands, the cloud's side, and a server on the loopback.

It promises that the panel lives in threads of the demo's own process (it holds the pipes of the boards) and
that it is served on 127.0.0.1 only. Waitress is told its host: its own choice would be every address.
"""

import secrets
import threading
import time

from waitress import create_server  # type: ignore[import-untyped]

from protocols.card.credential import canonical
from scripts.play.folder import World
from scripts.play.hand import Hand
from scripts.play.panel.app import Place, Pupil, Setting, create_panel
from scripts.play.panel.cloud_side import CloudSide
from scripts.play.panel.stand import Stand
from scripts.play.panel.trail import Choice, Trail
from scripts.play.ports import LOOPBACK

READERS = {"gate": ("in", "out"), "canteen": ("-",)}
LIST_KEPT_S = 60.0
_THREADS = 8


class DemoTaps:
    """What the page needs, answered from a stand, the cloud and the pockets of the world."""

    def __init__(self, stand: Stand, cloud: CloudSide, world: World):
        self._stand = stand
        self._cloud = cloud
        self._world = world
        self._lock = threading.Lock()
        self._people: list[Pupil] = []
        self._read_at = 0.0

    def tap(self, choice: Choice, who: str) -> Trail:
        """Hold a card; returns at once."""
        return self._stand.tap(choice, who)

    def trail(self, number: int) -> Trail | None:
        """A trail as it is now."""
        return self._stand.trails.get(number)

    def elapsed_ms(self, number: int) -> int:
        """Milliseconds since its card was held."""
        return self._stand.trails.elapsed_ms(number)

    def pupils(self) -> list[Pupil]:
        """Who has a card; what was read last when the cloud does not answer."""
        with self._lock:
            if not self._people or time.monotonic() - self._read_at > LIST_KEPT_S:
                found = [
                    Pupil(each.account, each.name, each.class_name, self._world.cards[each.account])
                    for each in self._cloud.pupils()
                    if each.account in self._world.cards
                ]
                if found:
                    self._people, self._read_at = found, time.monotonic()
            return self._people

    def unknown_credential(self) -> str:
        """A card that nobody in the school has."""
        known = set(self._world.cards.values())
        while True:
            credential = canonical("a:04" + secrets.token_hex(6))
            if credential not in known:
                return credential


class PanelServer:
    """The panel of one demo."""

    def __init__(self, world: World, hands: dict[str, Hand], cloud: CloudSide, setting: Setting):
        self._stopped = threading.Event()
        self._stand = Stand(hands, cloud, self._stopped)
        app = create_panel(setting, DemoTaps(self._stand, cloud, world))
        self._server = create_server(app, host=LOOPBACK, port=setting.port, threads=_THREADS, ident=None)
        self._thread = threading.Thread(target=self._server.run, name="panel", daemon=True)

    def start(self) -> None:
        """Serve."""
        self._stand.start()
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._stopped.set()
        self._server.close()
        self._stand.join(1.0)


def places(world: World) -> tuple[Place, ...]:
    """Every reader of every board, in the order of the boards."""
    return tuple(Place(device.label, reader) for device in world.devices for reader in READERS[device.kind])
