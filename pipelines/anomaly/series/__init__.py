"""Strange stretches of series."""
