"""`braid demo`: the main job for two tenants, on real models, with a report."""

import asyncio
from typing import Annotated

import typer

from gateway.cli.demo.runner import report_file, run_demo
from gateway.cli.exits import CliError
from gateway.cli.options import Home, settings_from
from gateway.cli.output import AsJson, print_text, say

__all__ = ["demo"]

_Keep = Annotated[bool, typer.Option("--keep", help="Leave everything running, and print how to ask.")]


def demo(keep: _Keep = False, home: Home = None, as_json: AsJson = False) -> None:
    """Run the whole road for two tenants: documents, adapters, five ways of asking, an edit, a swap."""
    settings = settings_from(home=home)
    own = settings.model_copy(update={"home": settings.home.resolve() / "demo"})
    report = asyncio.run(run_demo(own, keep=keep))
    file = report_file(own.home)
    if as_json:
        print_text(file.read_text())
    total = sum(report.step_seconds.values())
    say(f"\nThe report is in {file}; it took {total / 60:.1f} minutes.")
    faults = report.faults()
    if faults:
        raise CliError("The demo doesn't keep its promises:\n" + "\n".join(f"- {fault}" for fault in faults))
    say("Every promise is kept.")
