"""How sure a figure is: intervals, tests, calibration, drift; free of any domain."""
