"""The one process that speaks MQTT: from what devices send to committed books, and back.

Promises: a record is acknowledged after it is in the archive outside the
database and in the database; nothing without a valid MAC changes anything.
"""
