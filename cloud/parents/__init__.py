"""The parents' pages: sign in by phone, today, money down to the device record."""
