"""Layers and networks that look at pictures."""
