"""Running commands against a gateway that runs in the test's own loop."""

import asyncio

from typer.testing import CliRunner, Result

from gateway.cli.app import app


async def run(*arguments: str, input: str | None = None) -> Result:
    """Run `braid ARGUMENTS` in a thread; commands open a loop of their own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), input)
