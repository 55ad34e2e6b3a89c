"""`python -m horngate.cli` is the command."""

from horngate.cli.main import main

main()
