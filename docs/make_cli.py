"""Writes docs/cli.md, the command reference, from the commands themselves.

python docs/make_cli.py
"""

from pathlib import Path

import click

from horngate.cli.main import cli

HEAD = "# Command reference\n\nMade from the code by `make docs`; don't edit it by hand.\n"


def reference() -> str:
    """Return the reference as Markdown: every command with its help."""
    return HEAD + "".join(_sections(cli, click.Context(cli, info_name="horngate", help_option_names=["-h", "--help"])))


def _sections(command: click.Command, ctx: click.Context):
    ctx.terminal_width = ctx.max_content_width = 110
    yield f"\n## `{ctx.command_path}`\n\n```text\n{command.get_help(ctx)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            yield from _sections(child, click.Context(child, info_name=name, parent=ctx))


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(reference(), "utf-8")
