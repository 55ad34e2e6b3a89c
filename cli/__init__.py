"""The `horngate` command."""
