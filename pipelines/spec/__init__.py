"""What a task declares, light: cards and their knobs, recipes, which tasks there are, errors."""
