"""Detectors of what is strange, each a saved model."""
