"""What runs on a controller: MicroPython, and CPython for tests.  `app` decides, `ports` touch hardware."""

import gc

# Collect while the modules load, or what they leave behind cuts a small heap into pieces for good.
# From the first round of the loop on app/heap.py collects.
_COLLECT_EVERY = 8192

if hasattr(gc, "threshold"):
    gc.threshold(_COLLECT_EVERY)
