"""The gateway that takes what is imported: requests that wait where it is busy, and what is there already."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

from gateway.client import Client, GatewayError
from gateway.openai_import.export_folder import read_member
from gateway.openai_import.report import SOURCE_KEY

__all__ = ["Destination", "Show"]

_QUEUE_IS_FULL = "too_many_queued_jobs"
_AWAY = 503
_PATIENCE_SECONDS = 60.0
_REFUSED = (400, 404, 409, 413, 415, 422, 429)


class Show(Protocol):
    """Shows what is being done, how many of it are done, of how many, and what else there is to say."""

    def __call__(self, title: str, count: int, total: int, detail: str = "", /) -> None: ...


class Destination:
    """A gateway that takes what is imported.

    Args:
        client: With a key that may manage.
        base: The name of the base model there.
        show: Called with the progress.
        dry_run: Make nothing.
        pause: Seconds between two looks at something that takes long.
    """

    def __init__(self, client: Client, base: str, show: Show, *, dry_run: bool, pause: float = 2.0) -> None:
        self.client = client
        self.base = base
        self.show = show
        self.dry_run = dry_run
        self._pause = pause

    async def create(self, path: str, body: Any = None, **options: Any) -> Any:
        """Post; wait while the queue is full, and for a minute where a part of the gateway is away.

        Raises:
            GatewayError: It refuses it for good, or the key, or is away for longer.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await self.client.call("POST", path, **({"json": body} if body is not None else {}), **options)
            except GatewayError as error:
                away = error.status == _AWAY and time.monotonic() < deadline
                if not (away or error.code == _QUEUE_IS_FULL):
                    raise
            await self.sleep()

    async def sleep(self) -> None:
        await asyncio.sleep(self._pause)

    async def list_imported(self, path: str) -> dict[str, dict[str, Any]]:
        """Return the objects of a list by their ids at OpenAI, as their metadata have them."""
        objects: dict[str, dict[str, Any]] = {}
        async for row in self.client.read_rows(path):
            source = read_source(row)
            if source:
                objects.setdefault(source, row)
        return objects

    @staticmethod
    def is_refusal(error: GatewayError) -> bool:
        """Tell whether an error is about one object, so that the others can go on."""
        return error.status in _REFUSED


def read_source(row: Mapping[str, Any]) -> str | None:
    """Return the id at OpenAI of an object that was imported."""
    return read_member(row, "metadata").get(SOURCE_KEY)
