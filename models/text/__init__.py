"""Encoders of text, and what stands on them."""
