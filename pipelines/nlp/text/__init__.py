"""What all tasks share that read texts."""
