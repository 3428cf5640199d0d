"""The demo school: everything running until somebody stops it, and a table of addresses.

It promises a school that is still there at the next start, and that the terminal says where to look. The
sample parent's phone and the office's one-time link are asked of the cloud as a person with access to this
folder could.
"""

import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from scripts.play import addresses
from scripts.play.folder import DataFolder
from scripts.play.hand import Hand
from scripts.play.panel.app import Good, Setting
from scripts.play.panel.cloud_side import CloudSide
from scripts.play.panel.service import PanelServer, places
from scripts.play.ports import LOOPBACK, preferred
from scripts.play.school import make_school, renew_store
from scripts.play.town import Town

BROKER_PORT, WEB_PORT, PANEL_PORT = 18830, 8150, 8151
TICK_S = 0.1
TABLES_S = 20.0


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    data: Path
    files: Path
    time_zone: str
    is_fresh: bool
    broker_kind: str


class Stop:
    """Set by Ctrl-C, SIGTERM or a closed terminal; every wait of the demo looks at it."""

    def __init__(self) -> None:
        self.event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.event.set()


def run(wish: Wish, say: Callable[[str], None], show: Callable[[addresses.Addresses], None]) -> None:
    """Run the demo until it is stopped. Raises FolderRefused, NoFreePort, StartFailed, BrokerMissing."""
    stop = Stop()
    folder = DataFolder(wish.data)
    folder.take(fresh=wish.is_fresh)
    try:
        _run(wish, folder, stop.event, say, show)
    finally:
        folder.close()


def _run(
    wish: Wish,
    folder: DataFolder,
    stopped: threading.Event,
    say: Callable[[str], None],
    show: Callable[[addresses.Addresses], None],
) -> None:
    taken: set[int] = set()
    panel_port = preferred(PANEL_PORT, taken)
    config = folder.configure(broker_port=preferred(BROKER_PORT, taken), web_port=preferred(WEB_PORT, taken))
    if not folder.is_made:
        say("making the school")
        made = make_school(
            folder, config, wish.files, time_zone=wish.time_zone, now=int(time.time()), strict=False
        )
        for problem in made.problems:
            say(f"{problem.file}:{problem.line}: {problem.reason}")
    else:
        renew_store(config)
    world = folder.read_world()
    folder.move_boards(world, config.broker_port)
    town = Town(folder, config, world, broker_kind=wish.broker_kind, say=say)
    hands_stopped = threading.Event()
    panel: PanelServer | None = None
    try:
        town.start()
        town.wait_for_web()
        token = secrets.token_urlsafe(24)
        where = addresses.find(config, world, panel_port, token)
        setting = Setting(
            port=panel_port,
            token=token,
            places=places(world),
            time_zone=world.time_zone,
            currency=world.currency,
            menu=world.menu,
            goods=tuple(Good(*each) for each in world.goods),
            parents_url=where.parents,
            office_url=where.office_page,
        )
        begun = int(time.time())
        hands = town.hands(lambda at: (at - begun) * 1000, needs_line=False, stopped=hands_stopped)
        if not _know_cards(town, hands, stopped):
            say("the boards have not got their tables yet: cards are unknown to them until then")
        devices = {device.label: (device.number, device.epoch) for device in world.devices}
        cloud = CloudSide(LOOPBACK, config.web_port, config.demo_token, devices)
        panel = PanelServer(world, hands, cloud, setting)
        panel.start()
        show(where)
        while not stopped.wait(TICK_S):
            town.supervisor.tick()
        say("stopping")
    finally:
        hands_stopped.set()
        if panel is not None:
            panel.stop()
        town.stop()


def _know_cards(town: Town, hands: dict[str, Hand], stopped: threading.Event) -> bool:
    """Wait until every board has a table and settings, or it knows nobody; False when it takes too long."""
    until = time.monotonic() + TABLES_S
    waiting = list(hands.values())
    while waiting and time.monotonic() < until and not stopped.wait(TICK_S):
        town.supervisor.tick()
        status = waiting[0].ask_status(TICK_S)
        if status is not None and int(status["table"]) and int(status["settings"]):
            waiting.pop(0)
    return not waiting
