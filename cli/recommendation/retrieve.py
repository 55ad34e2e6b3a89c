"""`horngate recommendation retrieve similar-items`."""

import click

from horngate.cli.output import say_json, show, table
from horngate.cli.telling import wake
from horngate.pipelines.spec.card import Data


def commands(card: type[Data]) -> list[click.Command]:
    """Return the verbs that the task adds."""
    return [_similar_items_command()]


def _similar_items_command() -> click.Command:
    def run(run: str, item: str, count: int, as_json: bool) -> None:
        wake()
        from horngate.pipelines.recommendation.retrieval.neighbours import similar_items

        found = similar_items(run, item, count)
        if as_json:
            say_json(found)
        else:
            rows = [[f"{row['score']:.4f}", row["item"]] for row in found]
            show(table(f"{len(found)} items most like {item}", ["cosine", "item"], rows))

    params = [
        click.Argument(["run"], metavar="RUN"),
        click.Argument(["item"], metavar="ITEM"),
        click.Option(["-k", "count"], type=click.IntRange(1), default=10, show_default=True, help="How many items."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs."),
    ]
    help = "List the items that are most like one of those a run learnt."
    return click.Command("similar-items", callback=run, params=params, help=help, no_args_is_help=True)
