"""Recordings into what is said in them."""
