"""Statements: what the bank and the caterer say about a day, as they said it."""
