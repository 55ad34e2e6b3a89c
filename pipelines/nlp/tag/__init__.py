"""Entities and other labelled spans in texts."""
