"""The command line: `braid …`.

It imports what takes no time: until `main` runs, Ctrl-C would show a traceback.
"""

import importlib

from gateway.cli.first_moments import FirstMoments

__all__ = ["main"]


def main() -> None:
    """Run a command; the exit status is one of `Exit`, or 130 after Ctrl-C."""
    with FirstMoments():
        app = importlib.import_module("gateway.cli.app").app
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        FirstMoments().__enter__()  # the interpreter ends, and takes a while for it
