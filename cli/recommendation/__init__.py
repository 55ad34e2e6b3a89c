"""Verbs that tasks of the domain recommendation add to those of all tasks: a module is named as its task."""
