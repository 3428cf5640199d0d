"""What the devices wrote, for people to read: lists, one record, and its bytes taken apart."""
