"""Which card opens which account.

Promises: a card is known by its keyed reference only, raw ids are stored
nowhere; several cards may point at one account.  Leaves the image of a device's
table to cloud/devices.
"""
