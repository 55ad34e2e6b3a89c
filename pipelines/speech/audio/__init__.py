"""What all tasks share that hear recordings."""
