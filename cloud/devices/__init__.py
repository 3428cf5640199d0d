"""Gates and canteen lines as the cloud knows them: keys, tables, settings, topic rights, health.

Promises: a device is trusted by its key and epoch only; what is published was
written down first.  Leaves messages to cloud/ingest, the one MQTT client.
"""
