"""What every page of a program on a school's PC shares: the door, the frame and the looks.

Promises: a page that is served on this machine for its own user only (SECURITY: loopback is not a lock).
Leaves what stands on the page to the program.
"""
