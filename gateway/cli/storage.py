"""`braid storage`: what tenants store, and how much more they may."""

import asyncio
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.client import Client
from gateway.terminal import print_json, print_table

__all__ = ["storage"]

_PAGE = 1000


def storage(
    tenant: Annotated[str | None, typer.Option(help="Another tenant, for an admin key.")] = None,
    each: Annotated[bool, typer.Option("--all", help="Every tenant, for an admin key.")] = False,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the bytes that a tenant stores, by kind, and the most that it may store; or those of all tenants."""
    use = asyncio.run(_fetch(*find_connection(url, key, home), [tenant] if not each else None))
    if as_json:
        print_json(use if each else use[0])
    elif each:
        print_table(("tenant", "bytes", "at most"), [(one["tenant"], one["bytes"], _limit(one)) for one in use])
    else:
        (one,) = use
        print_table(("stored", "bytes"), [*one["kinds"].items(), ("in all", one["bytes"]), ("at most", _limit(one))])


def _limit(use: dict[str, Any]) -> int | str:
    return "no bound" if use["limit"] is None else use["limit"]


async def _fetch(url: str, key: str, tenants: list[str | None] | None) -> list[dict[str, Any]]:
    """Fetch what these tenants store (None: the key's own), or all of them, those with the most bytes first."""
    async with Client(url, key) as client:
        names = await _list_names(client) if tenants is None else tenants
        uses = [await client.get("/api/storage", params={} if name is None else {"tenant": name}) for name in names]
    return sorted(uses, key=lambda one: -one["bytes"])


async def _list_names(client: Client) -> list[str | None]:
    names: list[str | None] = []
    page: dict[str, Any] = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = {} if page["last_id"] is None else {"after": page["last_id"]}
        page = await client.get("/api/tenants", params={"limit": _PAGE, **after})
        names += [tenant["name"] for tenant in page["data"]]
    return names
