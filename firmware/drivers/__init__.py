"""Drivers: each speaks to one kind of part over a bus that is handed to it."""
