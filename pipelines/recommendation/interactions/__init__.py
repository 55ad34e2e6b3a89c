"""Who met what: logs, their splits, side tables, and what a run keeps of them."""
