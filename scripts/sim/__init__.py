"""The simulator: a whole school of the product's own code in one process, driven by one seed.

Promises: same seed, same run, to the byte; only clock, flash, network and people are models.
`simulation.py` puts the parts together, `faults` breaks them, `invariants.py` says what must hold whatever
broke, `mutants` proves that a broken product is caught.
"""
