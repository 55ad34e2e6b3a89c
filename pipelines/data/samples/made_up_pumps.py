"""The sample `made-up-pumps`: sensors of two pumps, made by formula: no real series is small and free enough to ship."""

from datetime import datetime, timedelta

import numpy as np


def series() -> dict[str, list[dict]]:
    """Return two made-up series of a pump's flow, pressure and temperature, a row a minute, each with three faults.

    Made by formula, with the same numbers everywhere: a load that goes up and down, noise, and as faults a leak (less
    pressure), a blockage (less flow at more pressure) or heat, 15 minutes long, in the last two fifths of each series.
    """
    return {f"pump-{number}": pump(number) for number in range(1, 3)}


def pump(number: int, rows: int = 900) -> list[dict]:
    """Return the rows of one of the pumps."""
    draw, minutes = np.random.default_rng(number), np.arange(rows)
    load = 1 + 0.2 * np.sin(2 * np.pi * (minutes + 7 * number) / 60) + 0.02 * draw.normal(size=len(minutes))
    flow, pressure = 30 * load, 2 + 0.5 * load**2
    temperature = 40 + 4 * np.convolve(np.pad(load, (29, 0), "edge"), np.ones(30) / 30, "valid")
    target = np.zeros(len(minutes), bool)
    for place, start in enumerate((550 + 10 * number, 680 + 5 * number, 810 + 7 * number)):
        span = slice(start, start + 15)
        target[span] = True
        kind = (number + place) % 3
        pressure[span] *= (0.8, 1.2, 1.0)[kind]
        flow[span] *= (1.0, 0.85, 1.0)[kind]
        temperature[span] += (0.0, 0.0, 3.0)[kind]
    columns = {"flow": flow, "pressure": pressure, "temperature": temperature}
    noisy = {name: values + 0.01 * values.std() * draw.normal(size=len(minutes)) for name, values in columns.items()}
    start = datetime(2024, 1, 1 + number)
    return [
        {"time": (start + timedelta(minutes=int(minute))).isoformat(sep=" ")}
        | {name: f"{values[minute]:.4f}" for name, values in noisy.items()}
        | {"target": "fault" if target[minute] else "normal"}
        for minute in minutes
    ]
