"""A program of the product that ends with an error of its own: it is no invariant, and yet fails a run.

A seeded bug that only makes a program end was not caught by anything that looks at money, passage or secrets.
"""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

CRASH = "crash"
_TEXT_MAX = 120


class Stopped(BaseException):
    """Enough violations: the run need not go on.  No Exception: no handler of a program catches it."""


def described(error: BaseException) -> str:
    """What it was and where: `TypeError: text (file.py:12)`."""
    frames = extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:_TEXT_MAX]}{place}"
