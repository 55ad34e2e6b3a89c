"""Medical images into findings."""
