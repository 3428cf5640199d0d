"""JSON for programs: for the desks that issue cards, and for the tap panel of a demo."""
