"""JSON for programs.  So far only what the tap panel of a demo asks."""
