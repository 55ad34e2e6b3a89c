"""Metrics of anomaly detection: of rows, of ranges and events in time, of pixels."""
