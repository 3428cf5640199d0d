"""The half of `bench tap` that runs on MicroPython; the other half is scripts/bench/tap.py."""
