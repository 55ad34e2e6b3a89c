"""Verbs that tasks of the domain speech add to those of all tasks: a module is named as its task."""
