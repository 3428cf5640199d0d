"""Reconciliation: a day's journals, books and statements beside each other, and the printed bound.

Reads what others keep and writes nothing.
"""
