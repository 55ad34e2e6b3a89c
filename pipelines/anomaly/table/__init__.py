"""Strange rows of a table."""
