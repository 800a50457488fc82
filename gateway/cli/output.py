"""Data on stdout, talk on stderr."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

__all__ = ["AsJson", "print_json", "print_table", "print_text", "say", "talk"]

_WIDTH = 120  # of a log, where no terminal says how wide it is

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def talk() -> Console:
    """The terminal for people; plain lines when it is none."""
    # Without emoji: an adapter's name such as ft:base:kestrel:house:… has a part between colons.
    width = None if sys.stderr.isatty() else _WIDTH
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False, width=width)


def say(text: str) -> None:
    """Tell the person at the terminal, without touching the data on stdout."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_text(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def print_json(value: Any) -> None:
    print_text(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: drawn for a terminal, tab-separated without one, so that `cut` and `awk` can read it."""
    if not sys.stdout.isatty():
        for row in rows:
            print_text("\t".join(map(str, row)))
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(str, row))
    Console(highlight=False, emoji=False).print(table)
