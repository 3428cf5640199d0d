"""What two sides must agree on, bit for bit.

Pure rules and byte formats in the MicroPython subset; the same files run on
the controller and in the cloud.  Imports nothing of ours but itself.
"""
