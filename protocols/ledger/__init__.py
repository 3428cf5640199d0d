"""The ledger that works offline: records, the journal ring, the escrow counters."""
