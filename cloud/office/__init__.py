"""The office: the school's day at a glance, the devices, and each record down to its bytes."""
