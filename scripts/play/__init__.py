"""The play: a whole school on one machine, out of the real parts.

It promises that every process it starts also ends with it, and that nothing in it decides about money or
passage: boards, broker and cloud are the product's own, this package only holds the cards to the readers
and reads the result. Nothing imports it but the `klasskart demo` command and the tests.
"""
