"""Metrics of tables of answers, free of any domain."""
