"""The commands in one place, and the one place where expected errors become exit statuses."""

import errno
import gc
import importlib
import importlib.metadata
from functools import cache
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from gateway.cli.first_moments import FirstMoments
from gateway.client import AmbiguousName, ClientError, GatewayError, GatewayUnreachable
from gateway.settings import SettingsError
from gateway.terminal import CommandError, Exit, print_text, say

__all__ = ["app", "choose_exit_status"]

_BY_HTTP_STATUS = {401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.NOT_FOUND, 409: Exit.CONFLICT, 503: Exit.UNREACHABLE}


_OF_A_DISK = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)

# By name → module and attribute. A command imports what itself needs: all of them together need seconds of a core.
_COMMANDS = {
    "up": "gateway.cli.up:up",
    "demo": "gateway.cli.demo:demo",
    "doctor": "gateway.cli.doctor.command:doctor",
    "chat": "gateway.cli.chat:chat",
    "advise": "gateway.cli.advise:advise",
    "docs": "gateway.cli.docs:docs",
    "eval": "gateway.cli.eval:evaluations",
    "gate": "gateway.cli.gate:gate",
    "import": "gateway.cli.import_openai:imports",
    "sources": "gateway.cli.sources:sources",
    "styles": "gateway.cli.styles:styles",
    "diagnose": "gateway.cli.diagnose:diagnose",
    "storage": "gateway.cli.storage:storage",
    "backup": "gateway.cli.backup:backup",
    "restore": "gateway.cli.backup:restore",
    "serve": "gateway.cli.serve:serve",
    "worker": "gateway.cli.serve:worker",
}


class _Commands(TyperGroup):
    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands: Any = dict.fromkeys(_COMMANDS)  # names to list and to suggest

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _load_command(cmd_name) if cmd_name in _COMMANDS else None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (CommandError, ClientError, SettingsError) as error:
            say(f"braid: {error}")
            raise typer.Exit(choose_exit_status(error)) from None
        except OSError as error:
            if error.errno not in _OF_A_DISK:
                raise
            say(
                f"braid: {error.filename or 'A file'}: {error.strerror}. See whether its disk is full or read-only, "
                "and whose it is."
            )
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


@cache
def _load_command(name: str) -> Any:
    module, attribute = _COMMANDS[name].split(":")
    # Nothing of what is imported is garbage, and to look for some is a fifth of a command's start.
    gc.disable()
    try:
        with FirstMoments():
            target = getattr(importlib.import_module(module), attribute)
    finally:
        gc.enable()
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(target)
        target = single
    command = typer.main.get_command(target)
    command.name = name
    return command
