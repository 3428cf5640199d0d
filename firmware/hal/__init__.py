"""The contracts between the application and the hardware: plain classes, one noun per file.

A port offers objects with these methods; it need not inherit from them.
`tests/firmware/hal` checks that each port keeps each contract.
"""
