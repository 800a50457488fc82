"""`braid demo`: the main job for two tenants, on real models, with a report."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Home, settings_from
from gateway.demo.runner import locate_page, locate_report, run_demo
from gateway.demo.size import FULL, SIZES
from gateway.stack.private_home import check_writable, keep_private
from gateway.terminal import CommandError, print_text, say

__all__ = ["demo"]

_SizeName = StrEnum("_SizeName", list(SIZES))
_FULL = _SizeName(FULL.name)
_Keep = Annotated[bool, typer.Option("--keep", help="Leave everything running, and print how to ask.")]
_Size = Annotated[_SizeName, typer.Option(help="full: two tenants, 32 questions; small: one tenant, in minutes.")]


def demo(keep: _Keep = False, size: _Size = _FULL, home: Home = None, as_json: AsJson = False) -> None:
    """Run the demo: documents, adapters, five variants of asking, an edit, a swap."""
    settings = settings_from(home=home)
    own = settings.model_copy(update={"home": settings.home.resolve() / "demo"})
    keep_private(own.home)  # its Braid does so too, but only once the demo has said how long it will take
    check_writable(own)
    try:
        report = asyncio.run(run_demo(own, SIZES[size.value], keep=keep))
    except asyncio.CancelledError:
        raise CommandError("The demo was told to stop, and so was its Braid.") from None
    file = locate_report(own.home)
    if as_json:
        print_text(file.read_text())
    total = sum(report.step_seconds.values())
    say(f"\nThe report is in {file}, with pictures in {locate_page(own.home)}; it took {total / 60:.1f} minutes.")
    faults = report.list_faults()
    if faults:
        raise CommandError("The demo doesn't keep its promises:\n" + "\n".join(f"- {fault}" for fault in faults))
    say("Every promise is kept.")
