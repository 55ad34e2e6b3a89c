"""Medical images into masks."""
