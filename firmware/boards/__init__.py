"""Boards: which driver stands behind which part, and on which pins.  No logic."""
