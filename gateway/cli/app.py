"""The commands in one place, and the one place where expected errors become exit statuses."""

import importlib.metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli.chat import chat
from gateway.cli.demo.command import demo
from gateway.cli.docs import docs
from gateway.cli.doctor.command import doctor
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import print_text, say
from gateway.cli.serve import serve, worker
from gateway.cli.up import up
from gateway.settings import SettingsError

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CliError as error:
            say(f"braid: {error}")
            raise typer.Exit(error.exit) from None
        except SettingsError as error:
            say(f"braid: {error}")
            raise typer.Exit(Exit.USAGE) from None


def _version(wanted: bool) -> None:
    if wanted:
        print_text(f"braid {importlib.metadata.version('braid-gateway')}")
        raise typer.Exit


app = typer.Typer(
    name="braid",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A hybrid serving gateway: adapters for style, documents for facts, prompts for both.",
)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Takes the options that come before a command."""


app.command()(up)
app.command()(demo)
app.command()(doctor)
app.command()(chat)
app.add_typer(docs, name="docs")
app.command()(serve)
app.command()(worker)


def main() -> None:
    """Run a command; the exit status is one of `Exit`, or 130 after Ctrl-C."""
    app()
