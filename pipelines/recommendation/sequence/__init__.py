"""What a user will want next."""
