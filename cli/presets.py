"""`horngate presets`: pretrained backbones, and how they come to a machine without a network."""

from pathlib import Path

import click

from horngate.cli.output import say, say_json, show, table
from horngate.cli.telling import speech_options, wake
from horngate.pipelines import verbs
from horngate.pipelines.spec.discovery import domains
from horngate.pipelines.system import progress


class Presets(click.Group):
    """`presets` lists the backbones of all domains, `presets DOMAIN` those of one; beside them stand its commands."""

    def list_commands(self, ctx):
        return [*super().list_commands(ctx), *(name for name in domains() if _has_backbones(name))]

    def get_command(self, ctx, name):
        return _listing(name) if name in domains() else super().get_command(ctx, name)


def _has_backbones(domain: str) -> bool:
    return any(getattr(card, "families", ()) for card in domains()[domain].values())


def _listing(domain: str) -> click.Command:
    def run(as_json: bool) -> None:
        _show((domain,), as_json)

    option = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs.")
    help = f"List the backbones for {domain}, and which are on this machine."
    return click.Command(domain, callback=run, params=[option, *speech_options()], help=help)


@click.group("presets", cls=Presets, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def presets(ctx: click.Context, as_json: bool) -> None:
    """List pretrained backbones; fetch, pack and unpack them for machines without a network."""
    if ctx.invoked_subcommand is None:
        _show(tuple(domains()), as_json)


def _show(wanted: tuple[str, ...], as_json: bool) -> None:
    wake()
    rows = verbs.presets.listed(wanted)
    if as_json:
        say_json(rows)
        return
    cells = [
        [
            row["name"],
            str(row["input_size"] or "–"),
            f"{row['parameters'] / 1e6:.1f} M" if row["parameters"] else "–",
            row["source"],
            "–" if row["licence"].startswith("not stated") else row["licence"],
            "yes" if row["here"] else "",
        ]
        for row in rows
    ]
    show(
        table(
            "backbones, for train --backbone NAME", ["name", "pixels", "parameters", "source", "licence", "here"], cells
        )
    )


@presets.command("fetch")
@click.argument("name")
@click.option("--alpha", type=click.FloatRange(0.1, 2.0), help="Width multiplier of a MobileNet.")
@click.option("--image-size", "size", type=click.IntRange(8, 2048), help="Side in pixels, where weights depend on it.")
@click.option("-o", "--output", metavar="FILE", help="Write an archive (.zip) too, as `pack` does.")
def fetch(name: str, alpha: float | None, size: int | None, output: str | None) -> None:
    """Bring a backbone from the network to where training finds it, and print the path."""
    wake()
    for path in verbs.presets.fetch(name, alpha, size):
        say(str(path))
    if output is not None:
        say(str(verbs.presets.pack(name, Path(output))))


@presets.command("pack")
@click.argument("name", metavar="NAME|FOLDER|FILE")
@click.option("-o", "--output", required=True, metavar="FILE", help="The archive, a .zip.")
@click.option("--weights", default="imagenet", metavar="imagenet|FILE", help="Of an architecture.  [default: imagenet]")
@click.option("--name", "rename", metavar="NAME", help="Name under which training shall find a preset folder.")
@click.option("--licence", metavar="TEXT", help="A note on its licence, which travels along.")
def pack(name: str, output: str, weights: str, rename: str | None, licence: str | None) -> None:
    """Write a backbone of this machine as one archive with checksums."""
    wake()
    say(str(verbs.presets.pack(name, Path(output), weights, rename, licence)))


@presets.command("unpack")
@click.argument("file", metavar="FILE")
@click.option("--overwrite", is_flag=True, help="Replace what stands there under the same name.")
def unpack(file: str, overwrite: bool) -> None:
    """Check an archive of `pack`, put it where training finds it, and print the path."""
    wake()
    manifest, paths = verbs.presets.unpack(Path(file), overwrite)
    for path in paths:
        say(str(path))
    if manifest["kind"] == "preset":
        progress.notice(f"use it with: --backbone {manifest['name']}")
    else:
        progress.notice(f"use it with: --weights imagenet if Keras knows the file's name, else --weights {paths[0]}")


for _command in (presets, *presets.commands.values()):
    _command.params += speech_options()
