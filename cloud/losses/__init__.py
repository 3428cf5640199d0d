"""Lost cards: who said so and when, where it is closed by now, what was done with it, what is taken back.

Promises: "closed" is said of a device only when the device itself has said so.  Leaves the card's state
to cards, tables of devices to devices, money to accounting.
"""
