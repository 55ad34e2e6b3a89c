"""Recommenders and rankers."""
