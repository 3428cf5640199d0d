"""Virtual boards: the real firmware on the unix port of MicroPython, without a listener."""
