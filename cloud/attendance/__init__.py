"""Who came and left, as the gates saw it.

Promises: an event keeps when it happened and when the cloud learnt of it; what
no gate saw is unknown, never absent.  Leaves messages to cloud/notifications.
"""
