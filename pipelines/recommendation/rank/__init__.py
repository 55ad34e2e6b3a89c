"""Scores of rows of users, items and whatever else is known."""
