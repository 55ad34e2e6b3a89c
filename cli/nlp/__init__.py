"""Verbs that tasks of the domain nlp add to those of all tasks: a module is named as its task."""
