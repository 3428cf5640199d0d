"""Alarms: what a person must look at, one row each."""
