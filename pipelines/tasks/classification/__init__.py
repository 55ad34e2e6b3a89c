"""What all tasks share that sort rows into classes."""
