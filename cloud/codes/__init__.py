"""One-time codes and one-time links: the proof that a phone or a console is yours."""
