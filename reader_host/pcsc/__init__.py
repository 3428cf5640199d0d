"""Cards on a PC/SC reader of the desk or the till.

Promises: everything that a reader or a pulled card can do is a Fault with a number of protocols.errors.
Leaves what to say to a card to protocols/card.
"""
