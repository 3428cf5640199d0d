"""The only place that knows what the firmware runs on: a chip, or an interpreter on a host."""
