"""Starts one command so that it can not outlive the process that started it.

On Linux the kernel is asked (PR_SET_PDEATHSIG) to kill this process when its parent ends, however it ends;
the wish survives the exec that follows. Elsewhere the command is started all the same and only an orderly
stop ends it. Run as `python -m scripts.play.leash PARENT_PID COMMAND ARGUMENT...`. The process number stays
the same over the exec.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` ends; ends at once when it has ended already."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended between the fork and the wish
        os._exit(1)


def main(arguments: list[str]) -> None:
    """Put this process on the leash and become the command."""
    die_with(int(arguments[0]))
    os.execvp(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
