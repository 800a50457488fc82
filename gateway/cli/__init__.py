"""The command line: `braid …`."""

from gateway.cli.app import main

__all__ = ["main"]
