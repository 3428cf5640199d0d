"""Pupils, parents, classes: the only room with names and phones.

Promises: the books, the devices and the messages' outbox hold account numbers
only; a name comes out through service.py, and a read by staff leaves a line in
the log of reads.  Leaves cards to cloud/cards and money to cloud/accounting.
"""
