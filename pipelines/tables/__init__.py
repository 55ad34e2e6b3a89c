"""Rows of tables as inputs: reading and typing cells, and what is wrong with columns; shared by all domains with tables."""
