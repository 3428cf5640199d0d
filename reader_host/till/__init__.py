"""The till: a page on the PC of a canteen line, before the controller that sells.

Promises: the page shows what is on sale, what is rung up and one of a few answers; no name, no balance, no
debt, no benefit and no refusal number ever reaches it.  What was sold is decided and journaled by the
controller alone; the till holds what the cashier wants, and pages are views of it.
"""
