"""The four verbs, each written once for every task."""
