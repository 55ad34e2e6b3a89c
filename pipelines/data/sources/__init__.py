"""Sources: one file a format, and the loader that chooses among them."""
