"""What tasks share that list items for users."""
