"""When Python looks for garbage, for work that makes much and loses nothing.

Promises: the collector is as it was when the work is over, however it ends.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """For work on ten thousands of tuples that all live to its end: looking for cycles among them
    again and again costs up to a quarter of the whole."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
