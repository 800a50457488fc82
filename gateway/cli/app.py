"""The commands in one place, and the one place where expected errors become exit statuses."""

import importlib.metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli.advise import advise
from gateway.cli.backup import backup, restore
from gateway.cli.chat import chat
from gateway.cli.demo import demo
from gateway.cli.diagnose import diagnose
from gateway.cli.docs import docs
from gateway.cli.doctor.command import doctor
from gateway.cli.eval import evaluations
from gateway.cli.gate import gate
from gateway.cli.import_openai import imports
from gateway.cli.serve import serve, worker
from gateway.cli.sources import sources
from gateway.cli.storage import storage
from gateway.cli.styles import styles
from gateway.cli.up import up
from gateway.client import AmbiguousName, ClientError, GatewayError, GatewayUnreachable
from gateway.settings import SettingsError
from gateway.terminal import CommandError, Exit, print_text, say

__all__ = ["app", "choose_exit_status", "main"]

_BY_HTTP_STATUS = {401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.NOT_FOUND, 409: Exit.CONFLICT, 503: Exit.UNREACHABLE}


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (CommandError, ClientError, SettingsError) as error:
            say(f"braid: {error}")
            raise typer.Exit(choose_exit_status(error)) from None


def choose_exit_status(error: Exception) -> Exit:
    """Return the exit status of a command that ended with an expected error."""
    match error:
        case CommandError():
            return error.exit
        case SettingsError():
            return Exit.USAGE
        case AmbiguousName():
            return Exit.CONFLICT
        case GatewayUnreachable():
            return Exit.UNREACHABLE
        case GatewayError():
            return _BY_HTTP_STATUS.get(error.status, Exit.FAILED)
        case _:
            return Exit.FAILED


def _print_version(asked_for: bool) -> None:
    if asked_for:
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
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that come before a command."""


app.command()(up)
app.command()(demo)
app.command()(doctor)
app.command()(chat)
app.command()(advise)
app.add_typer(docs, name="docs")
app.add_typer(evaluations, name="eval")
app.command()(gate)
app.add_typer(imports, name="import")
app.add_typer(sources, name="sources")
app.add_typer(styles, name="styles")
app.command()(diagnose)
app.command()(storage)
app.command()(backup)
app.command()(restore)
app.command()(serve)
app.command()(worker)


def main() -> None:
    """Run a command; the exit status is one of `Exit`, or 130 after Ctrl-C."""
    app()
