"""The command line: `braid …`."""

import gc

# Nothing of what is imported here is garbage, and to look for some is a fifth of a command's start.
gc.disable()
from gateway.cli.app import main  # noqa: E402

gc.enable()

__all__ = ["main"]
