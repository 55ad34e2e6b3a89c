"""The verbs, each written once for every task."""
