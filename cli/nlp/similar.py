"""`horngate nlp similar index|search`."""

from typing import Any

import click

from horngate.cli.options import knob_options
from horngate.cli.output import say, say_json, show, table
from horngate.cli.telling import wake
from horngate.pipelines.spec.card import Data

SHOWN = 300  # signs of a text in a table


def commands(card: type[Data]) -> list[click.Command]:
    """Return the verbs that the task adds."""
    return [_index_command(card), _search_command()]


def _index_command(card: type[Data]) -> click.Command:
    def run(run: str, texts: tuple[str, ...], output: str, **values: Any) -> None:
        wake()
        from horngate.pipelines.nlp.similar.search import index

        say(str(index(run, list(texts), output, **values).folder))

    params = [
        click.Argument(["run"], metavar="RUN"),
        click.Argument(["texts"], metavar="[TEXTS]...", nargs=-1),
        click.Option(["-o", "--output"], metavar="DIR", required=True, help="Folder of the index."),
        click.Option(["--add"], is_flag=True, help="Add the texts to the index that is there."),
        click.Option(["--remove"], multiple=True, metavar="ID", help="Remove this row from the index that is there."),
        click.Option(
            ["--graph"], is_flag=True, help="Keep a graph too, for fast approximate search of very many rows."
        ),
        *knob_options(card, ("id_column", "input_column", "encoding")),
    ]
    help = "Embed texts into a folder that can be searched, or change one."
    return click.Command("index", callback=run, params=params, help=help, no_args_is_help=True)


def _search_command() -> click.Command:
    def run(index: str, query: str, count: int, run: str | None, exact: bool, as_json: bool) -> None:
        wake()
        from horngate.pipelines.nlp.similar.search import search

        hits = search(index, query, count, run, exact)
        if as_json:
            say_json([vars(hit) for hit in hits])
            return
        rows = [[f"{hit.score:.4f}", hit.id, _short(hit.text)] for hit in hits]
        show(table(f"{len(hits)} nearest texts", ["score", "id", "text"], rows))

    params = [
        click.Argument(["index"], metavar="DIR"),
        click.Argument(["query"], metavar="QUERY"),
        click.Option(["-k", "count"], type=click.IntRange(1), default=10, show_default=True, help="How many texts."),
        click.Option(["--run"], metavar="RUN", help="Where the index's run lies now, if it was moved."),
        click.Option(["--exact"], is_flag=True, help="Compare all rows, also where the index has a graph."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs."),
    ]
    help = "Find the texts of an index that are most like a query."
    return click.Command("search", callback=run, params=params, help=help, no_args_is_help=True)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
