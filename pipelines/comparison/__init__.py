"""What a comparison of runs is made of: shared rows, differences, rows that flipped."""
