"""Benches: ratios of the product to the usual ways, from one run on one machine (docs/benchmarks.md)."""
