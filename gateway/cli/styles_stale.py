"""`braid styles stale`: what adapters have learnt and documents have changed since."""

import asyncio
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.client import Client
from gateway.counts import format_count
from gateway.terminal import CommandError, print_json, print_table, say

__all__ = ["list_stale"]

_Adapter = Annotated[str | None, typer.Option(help="The name of one adapter (ft:…); default: all that may answer.")]
_NAMED_ROWS = 8


def list_stale(
    adapter: _Adapter = None, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False
) -> None:
    """List the facts that adapters have learnt and that documents have changed, or that were deleted, since.

    They are those that a training with `facts` noted, held against the documents as they are now. The command fails
    where there are some, so that it may run after each change of the documents.
    """
    answer = asyncio.run(_list(*find_connection(url, key, home), adapter))
    facts: list[dict[str, Any]] = answer["data"]
    if as_json:
        print_json(answer)
    elif facts:
        header = ("adapter", "value", "rows", "document", "learnt", "now", "state")
        print_table(header, [_to_row(fact) for fact in facts])
    if answer["unread_documents"]:
        words = format_count(answer["unread_documents"], "document has", "documents have")
        say(f"{words} changed too, beyond what was read now.")
    if facts:
        adapters = len({fact["adapter"] for fact in facts})
        raise CommandError(
            f"Adapters that know stale facts: {adapters}, facts: {len(facts)}. Train them again, from rows with their "
            "passages ('braid styles rewrite')."
        )
    say("No adapter is known to have learnt a fact that documents have changed since.")


async def _list(url: str, key: str, adapter: str | None) -> dict[str, Any]:
    async with Client(url, key) as client:
        return await client.get("/api/styles/stale_facts", params={"adapter": adapter} if adapter else {})


def _to_row(fact: dict[str, Any]) -> tuple[object, ...]:
    rows = [*map(str, fact["rows"][:_NAMED_ROWS]), *(["…"] if len(fact["rows"]) > _NAMED_ROWS else [])]
    now = fact["version"] or ""
    return (
        *(fact["adapter"], fact["text"], " ".join(rows), fact["document_key"]),
        *(fact["learnt_version"], now, fact["state"]),
    )
