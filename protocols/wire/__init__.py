"""What travels between a device and its parent: topics, envelopes, messages, the account table."""
