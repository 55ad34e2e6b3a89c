"""Short sounds into classes."""
