"""Backup and restore of a data folder: database, raw archive, and the keys apart.

Promises: a backup is taken while everything runs and proves itself by hashes; a
restore begins a new incarnation, so that what devices did since is asked for.
"""
