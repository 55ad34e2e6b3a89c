"""What screening tasks draw beside what all classifying tasks do."""

from typing import Any

from horngate.pipelines.report.drawing import ACCENT, MUTED, SECOND, bare
from horngate.pipelines.report.plot import Plot

LEAST = 1e-3  # net benefit that is worth a word


def decision(curve: list[dict[str, Any]], positive: str) -> Plot:
    """Return the net benefit of acting by the scores, on all and on none, by threshold (Vickers & Elkin 2006)."""
    places = [part["threshold"] for part in curve]
    gains, of_all = ([part[name] for part in curve] for name in ("net_benefit", "act_on_all"))
    top = max(*gains, 0.01)

    def draw(axes) -> None:
        axes.plot(places, of_all, color=SECOND, linewidth=1, label="all")
        axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="none")
        axes.plot(places, gains, color=ACCENT, label="by the scores")
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.15 * top, 1.1 * top)
        axes.set_xlabel("threshold")
        axes.set_ylabel("net benefit")
        axes.legend(loc="best")
        bare(axes, "y")

    useful = [place for place, gain, every in zip(places, gains, of_all, strict=True) if gain > max(every, 0) + LEAST]
    said = f"somewhere from {min(useful):.2f} to {max(useful):.2f}" if useful else "nowhere"
    text = f"Decision curve of {positive}: acting by the scores gains more than acting on all or on none {said}."
    caption = (
        "At a threshold of 0.1 a missed case weighs as much as nine needless actions. "
        f"Here the scores are worth more than acting on all or none {said}."
    )
    return Plot("decision-curve", "Decision curve", text, draw, caption, section="calibration")
