"""Texts into embeddings, and finding them again."""
