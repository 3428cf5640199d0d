"""The tools of the repository: setup, demo, checks, plays, benches.  Nothing of the product imports them."""
