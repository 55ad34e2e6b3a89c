"""What a task is made of, and the parts that several tasks share."""
