"""The books: double entry, append-only, every line explained down to a device's record.

Promises: money moves by service.post and by nothing else.  Leaves to others who
may spend what (devices, ingest) and what a meal costs (meals).
"""
