"""From what the user has to a table of rows: sources, checks, duplicates, splits, reading."""
