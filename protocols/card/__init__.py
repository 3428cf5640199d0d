"""Cards as every side names them: the canonical credential id and its keyed reference."""
