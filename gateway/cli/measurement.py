"""Waiting for a measurement that a worker makes, with its progress."""

import asyncio
from typing import Any

from gateway.client import Client
from gateway.progress import Progress
from gateway.terminal import CommandError, say

__all__ = ["await_measurement"]

_POLL_SECONDS = 1.0
_QUEUED = "(waits for a worker: what was asked for before it comes first)"


async def await_measurement(
    client: Client, path: str, row: dict[str, Any], *, unit: str, lack: str, total: str = "total"
) -> dict[str, Any]:
    """Show how far it is until it has ended, and return it as it is then. Who stops waiting is told that it goes on.

    Args:
        client: Asks the gateway.
        path: The measurement's own.
        row: The measurement as it was begun.
        unit: Names what is counted, such as "failures".
        lack: Says what there isn't if it fails, such as "There is no diagnosis".
        total: The member with the number of all, beside `done`.

    Raises:
        CommandError: It failed, or was cancelled.
    """
    try:
        with Progress().line(f"{row['id']}, {unit}") as line:
            while row["status"] in ("queued", "running"):
                line.show(row["done"], max(row[total], 1), _QUEUED if row["status"] == "queued" else "")
                await asyncio.sleep(_POLL_SECONDS)
                row = await client.get(path)
    except asyncio.CancelledError:
        say(f"{row['id']} goes on at the gateway. GET {path} tells what becomes of it, and POST {path}/cancel ends it.")
        raise
    if row["status"] != "succeeded":
        reason = row["error"]["message"] if row["error"] else f"it is {row['status']}"
        raise CommandError(f"{lack}: {reason}")
    return row
