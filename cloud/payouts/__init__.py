"""Payouts: money that leaves a purse for the parent's bank account, never more than no device can spend.

Promises: a request counts once under its key; rights come back before money goes.
"""
