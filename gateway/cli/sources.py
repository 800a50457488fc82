"""`braid sources`: places whose documents a vector store follows."""

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.named_store import make_store
from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.client import AmbiguousName, Client, GatewayError, find_store
from gateway.counts import format_count
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["sources"]

sources = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Keep a vector store in sync with folders and other places."
)

_Store = Annotated[str, typer.Argument(help="Id (vs_…) or name of the vector store; a new name makes one.")]
_Place = Annotated[
    str,
    typer.Argument(metavar="PLACE", help="A folder of the worker's machine, a site's URL, https://….git or s3://…."),
]
_Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Id (src_…) or name of the source.")]
_Patterns = list[str] | None
_POLL_SECONDS = 0.5
_SHORT_SSH = re.compile(r"([\w.-]+@[\w.-]+):/?(?!/)(\S+)", re.ASCII)
"""The short form of ssh, which forges show: `git@host:team/repository.git`."""
_BUSY = frozenset({"waiting", "syncing"})


@sources.command("add")
def add(
    store: _Store,
    place: _Place,
    name: Annotated[str | None, typer.Option(help="Its name; default: the place's last part.")] = None,
    include: Annotated[_Patterns, typer.Option(help="Take only paths of this pattern of .gitignore.")] = None,
    exclude: Annotated[_Patterns, typer.Option(help="Leave out paths of this pattern of .gitignore.")] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Take hidden files too.")] = False,
    branch: Annotated[
        str | None, typer.Option(help="Or tag, or commit, of a repository; default: its own branch.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Links to follow on a site that has no list of pages.")] = None,
    pages: Annotated[int | None, typer.Option(help="The most pages of a site.")] = None,
    every: Annotated[int, typer.Option(help="Seconds between two syncs; 0: only when asked.", min=0)] = 3600,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a source, and return when it is synchronised for the first time and its documents answer."""
    body: dict[str, Any] = {
        "name": name or _name(place),
        "origin": _origin(place, branch=branch, depth=depth, pages=pages),
        "include": include or [],
        "exclude": exclude or [],
        "hidden": hidden,
        "interval_seconds": every or None,
    }
    _print_end(asyncio.run(_add(*find_connection(url, key, home), store, body)), as_json)


@sources.command("list")
def list_(url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List your sources with the state of each."""
    rows = asyncio.run(_list(*find_connection(url, key, home)))
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "store", "status", "items", "failed")
        print_table(columns, [tuple(row[_MEMBERS.get(name, name)] for name in columns) for row in rows])


@sources.command("sync")
def sync(
    source: _Source,
    yes: Annotated[bool, typer.Option("--yes", help="Delete even if more than half is gone, or all.")] = False,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Synchronise a source now; return when its documents answer. Stopping the command doesn't stop the sync."""
    _print_end(asyncio.run(_sync(*find_connection(url, key, home), source, yes)), as_json)


@sources.command("remove")
def remove(
    source: _Source,
    keep: Annotated[bool, typer.Option("--keep", help="Leave its documents in the store.")] = False,
    url: Url = None,
    key: Key = None,
    home: Home = None,
) -> None:
    """Delete a source, with the documents that it put unless they are kept."""
    asyncio.run(_remove(*find_connection(url, key, home), source, keep))
    say(f"{source} is deleted; its documents {'stay' if keep else 'go too'}.")


_MEMBERS = {"store": "vector_store_id"}


def _name(place: str) -> str:
    last = place.rstrip("/").removesuffix(".git").rsplit("/", 1)[-1].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", last).strip("-._")[:63] or "source"


def _origin(place: str, **options: Any) -> dict[str, Any]:
    """Return the origin that a place on the command line means; the gateway refuses options of another kind."""
    options = {name: value for name, value in options.items() if value is not None}
    if (short := _SHORT_SSH.fullmatch(place)) is not None:
        place = f"ssh://{short[1]}/{short[2]}"
    if "://" not in place:
        return {"kind": "folder", "path": str(Path(place).absolute()), **options}
    if place.startswith("s3://"):
        return {"kind": "s3", "url": place, **options}
    is_git = place.startswith("ssh://") or place.endswith(".git") or "branch" in options
    kind = "git" if is_git else "web"
    return {"kind": kind, "url": place, **options}


def _print_end(state: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(state)
    else:
        columns = ("name", "status", "items", "failed")
        print_table(columns, [tuple(state[name] for name in columns)])
    if state["status"] == "needs_confirmation":
        raise CommandError(
            f"{state['deletions']} of {state['items']} documents would be deleted, which is more than half; nothing "
            f"was done. If that is right, say so: braid sources sync {state['name']} --yes",
            Exit.CONFLICT,
        )
    if state["status"] != "synced":
        raise CommandError(state["error"]["message"] if state["error"] else "The sync was stopped.")
    if state["failed"]:
        reason = state["error"]["message"].rstrip(".") if state["error"] else "Not all items could be read"
        say(f"{reason}. Mend them in their place and synchronise again: braid sources sync {state['name']}")
        say(f"/api/sources/{state['id']}/items?failed=true has all of them, with their reasons.")
        raise CommandError(f"{state['failed']} of {state['items']} items aren't live.")


async def _add(url: str, key: str, store: str, body: dict[str, Any]) -> dict[str, Any]:
    async with Client(url, key) as client:
        there = await find_store(client, store)
        store_id = there or await make_store(client, store)
        try:
            state = await client.post("/api/sources", {**body, "vector_store_id": store_id})
        except GatewayError as error:
            if there is None and error.status < 500:  # else the source may be there all the same
                await client.delete(f"/v1/vector_stores/{store_id}")
                say(f"{store_id} is deleted again: nothing would feed it.")
            raise
        return await _wait(client, state)


async def _list(url: str, key: str) -> list[dict[str, Any]]:
    async with Client(url, key) as client:
        return [row async for row in client.read_rows("/api/sources")]


async def _sync(url: str, key: str, source: str, yes: bool) -> dict[str, Any]:
    async with Client(url, key) as client:
        row = await _find(client, source)
        # What is confirmed is the number that was shown: if yet more is gone by now, it is asked for again.
        body = {"confirm_deletions": row["deletions"] if yes else 0}
        return await _wait(client, await client.post(f"/api/sources/{row['id']}/sync", body))


async def _remove(url: str, key: str, source: str, keep: bool) -> None:
    async with Client(url, key) as client:
        id = (await _find(client, source))["id"]
        await client.delete(f"/api/sources/{id}", params={"keep_documents": keep})


async def _find(client: Client, name_or_id: str) -> dict[str, Any]:
    matches = [row async for row in client.read_rows("/api/sources") if name_or_id in (row["id"], row["name"])]
    if not matches:
        raise CommandError(f"There is no source {name_or_id!r}. 'braid sources list' shows yours.", Exit.NOT_FOUND)
    if len(matches) > 1:
        raise AmbiguousName(f"One source is called {name_or_id!r}, and another one has that id. Say the id.")
    return matches[0]


async def _wait(client: Client, state: dict[str, Any]) -> dict[str, Any]:
    """Wait until the sync that was asked for has ended and its documents were read, and say how far it is."""
    last = ""
    while state["status"] in _BUSY or (state["status"] == "synced" and state["reading"]):
        line = f"{state['name']}: {state['done']} of {state['total']} changed items are put"
        if state["status"] == "synced":
            line = f"{state['name']}: {format_count(state['reading'], 'document')} to be read"
        if state["status"] != "waiting" and state["total"] and line != last:
            say(line)
            last = line
        await asyncio.sleep(_POLL_SECONDS)
        state = await client.get(f"/api/sources/{state['id']}")
    return state
