"""What a controller decides.  Knows the contracts in `hal` and the rules in `protocols`, never a pin."""
