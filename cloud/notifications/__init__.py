"""Messages to parents, from the fact to the channel.

Promises: a fact and its line in the outbox are one transaction; each message
goes to the channel at least once under one id, and a stale one not at all.
Leaves the loop that does it to cloud/worker.py.
"""
