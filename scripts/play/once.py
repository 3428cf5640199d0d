"""`klasskart demo --once`: a school of its own, one day played in it, the numbers, and nothing left running.

It promises a data folder and ports that no other play has, that rows which cannot be used are named before
anything runs, and that with `strict` one such row means that nothing is applied at all.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import FrameType
from zoneinfo import ZoneInfo

from cloud.csv_file import Problem
from scripts.play.day import Tap, read_day
from scripts.play.folder import DataFolder, FolderRefused
from scripts.play.play_day import Play, Result
from scripts.play.ports import anywhere
from scripts.play.school import BOARDS, PLAY_SETTINGS, make_school
from scripts.play.town import Town

DAY = "day.csv"
Watch = Callable[[int, int], None]


class Interrupted(Exception):
    """Ctrl-C or SIGTERM."""


@dataclass(frozen=True)
class Wish:
    """What the command line asked for. Without `data` the folder is a temporary one."""

    files: Path
    on: date
    time_zone: str
    data: Path | None
    is_fresh: bool
    is_strict: bool
    broker_kind: str
    timeout_s: float


@dataclass(frozen=True)
class Played:
    """The rows that were left out, and the result; None when strict let nothing through."""

    problems: list[Problem]
    result: Result | None


def run(wish: Wish, say: Callable[[str], None], watch: Watch) -> Played:
    """Play the day; `watch` is told taps done and in all. Raises Interrupted, FolderRefused, StartFailed."""
    begun = time.monotonic()
    day_start = int(
        datetime.combine(wish.on, datetime.min.time(), tzinfo=ZoneInfo(wish.time_zone)).timestamp()
    )
    taps, problems = read_day(wish.files / DAY, on=wish.on, zone=wish.time_zone, devices=BOARDS)
    if wish.is_strict and problems:
        return Played(problems, None)
    with _ending_on_signals(), _data_folder(wish) as folder:
        return _play(wish, folder, taps, problems, day_start, begun, say, watch)


def _play(
    wish: Wish,
    folder: DataFolder,
    taps: list[Tap],
    problems: list[Problem],
    day_start: int,
    begun: float,
    say: Callable[[str], None],
    watch: Watch,
) -> Played:
    taken: set[int] = set()
    config = folder.configure(broker_port=anywhere(taken), web_port=anywhere(taken))
    made = make_school(
        folder,
        config,
        wish.files,
        time_zone=wish.time_zone,
        now=day_start,
        strict=wish.is_strict,
        settings=PLAY_SETTINGS,
    )
    problems = made.problems + problems
    if made.world is None:
        return Played(problems, None)
    town = Town(folder, config, made.world, broker_kind=wish.broker_kind, say=say)
    try:
        town.start()
        play = Play(town, taps, day_start=day_start, begun=begun)
        return Played(problems, play.run(wish.timeout_s, lambda done: watch(done, len(taps))))
    finally:
        # A second Ctrl-C must not leave half of the processes behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        town.stop()


@contextmanager
def _data_folder(wish: Wish) -> Iterator[DataFolder]:
    """An empty data folder, removed at the end when it was not asked for by name."""
    made = Path(tempfile.mkdtemp(prefix="klasskart-play-")) if wish.data is None else None
    folder = DataFolder(made or wish.data or Path())
    try:
        if not wish.is_fresh and folder.is_made:
            raise FolderRefused(f"{folder.path} has a school already: add --fresh, or choose another --data")
        folder.take(fresh=wish.is_fresh)
        yield folder
    finally:
        folder.close()
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the play in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
