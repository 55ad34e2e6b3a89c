"""What all tasks share that find anomalies."""
