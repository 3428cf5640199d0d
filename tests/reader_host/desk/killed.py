"""A desk that kills itself with SIGKILL in the middle of giving a card: `python -m ... FOLDER MOMENT`.

The card's memory lies in a file beside the desk, written as a card writes it: command by command.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

from reader_host.desk.store import ISSUE
from reader_host.desk.work import Wish
from tests.reader_host.desk.parts import Parts, desfire, laid


def load(folder: Path) -> Any:
    """The applications on the card of a desk that was killed."""
    return pickle.loads((folder / "card").read_bytes())


def _main(folder: Path, moment: str) -> None:
    parts, card = Parts(folder, random_bytes=os.urandom), desfire()
    card.random_bytes = os.urandom

    def save() -> None:
        (folder / "card").write_bytes(pickle.dumps(card.applications))

    def die(*_values: Any, **_named: Any) -> None:
        save()
        os.kill(os.getpid(), signal.SIGKILL)

    on_reader = laid(card)
    operation = parts.work.begin(Wish(ISSUE, "s1"), parts.work.look(on_reader))
    if moment == "begun":
        die()
    if moment == "written":
        # All is on the card, and the desk does not come to write down that it is.
        parts.store.set_state = die  # type: ignore[method-assign]
    parts.work.finish(on_reader, operation)
    die()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
