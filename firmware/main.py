"""The entry of the firmware: build the board, boot, and give every task its turn for ever.

python -m firmware.main run FOLDER       the virtual board of a folder
python -m firmware.main prepare FOLDER   its empty flash, once, when it is provisioned
"""

import sys

from firmware.app.controller import Controller
from firmware.app.supervisor import Supervisor
from firmware.app.sync import Sync
from firmware.boards import virtual
from firmware.hal.board import GATE
from protocols.errors import Fault


def assemble(board) -> Supervisor:
    """Boot a board and return its loop."""
    # Code is loaded while the heap is whole: it wants larger pieces than anything that follows.
    task_kind = _task_kind(board.provision.kind)
    till = _till(board) if board.till is not None else None
    controller = Controller(board)
    controller.boot()
    task = task_kind(controller)
    task.resume()
    # The card first: it is decided, and what it needs from the network goes out, in the same round.
    tasks = (board.reader, task, Sync(controller), controller)
    if till is not None:
        till.attach(controller)
        # What was rung up is there before the card that pays for it.
        tasks = (till,) + tasks
    if board.provision.reading is not None:
        # There are chips that can fail.
        from firmware.app import readers

        tasks += (readers.Watch(controller),)
    return Supervisor(tasks, board.watchdog, board.panel)


def _till(board):
    """The till's end at this board, which is the panel from now on."""
    from firmware.app import till
    from protocols.wire.till import pairing_key

    key = pairing_key(board.provision.key)
    board.panel = till.Till(board.panel, board.till, key, board.random_bytes)
    return board.panel


def _task_kind(kind: str):
    """The class of the one task that this board has: a chip has no heap to spare for the other."""
    if kind == GATE:
        from firmware.app.turnstile import Turnstile

        return Turnstile
    from firmware.app.canteen import Canteen

    return Canteen


def run(folder: str) -> None:
    """The virtual board, until its world ends."""
    board, world = virtual.build(folder)
    loop = assemble(board)
    while not world.closed:
        board.wait(loop.step())


def main(arguments: list) -> int:
    """The exit code: 0, 1 after a fault, 2 for arguments that are none."""
    if len(arguments) != 2 or arguments[0] not in ("run", "prepare"):
        print("usage: firmware.main run|prepare FOLDER")
        return 2
    try:
        if arguments[0] == "run":
            run(arguments[1])
        else:
            virtual.prepare(arguments[1])
    except Fault as fault:
        print("fault %d %s" % (fault.code, fault.thing.replace(" ", "_")))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
