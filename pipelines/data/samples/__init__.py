"""Samples: data that comes along, for `sample:NAME`."""
