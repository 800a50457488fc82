"""`braid docs`: the documents of a vector store."""

import asyncio
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.client import Gateway
from gateway.cli.exits import CliError, Exit
from gateway.cli.options import Home, Key, Url, connection
from gateway.cli.output import AsJson, print_json, print_table, say

__all__ = ["docs", "find_store", "put_document"]

_WAIT_SECONDS = 300

docs = typer.Typer(no_args_is_help=True, help="Add, list and delete the documents of a vector store.")

_Store = Annotated[str, typer.Argument(help="Id (vs_…) or name of the vector store.")]
_Files = Annotated[list[Path], typer.Argument(help="Files, or folders with everything in them.", exists=True)]
_KeyName = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's key, as 'braid docs list' shows it.")]


@docs.command("add")
def add(
    store: _Store, files: _Files, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Add files, or new versions of them; returns when they answer. A store that is named anew is made."""
    added = asyncio.run(_add(*connection(url, key, home), store, _keys(files)))
    if as_json:
        print_json(added)
    else:
        print_table(("document", "version", "status"), [(row["key"], row["version"], row["status"]) for row in added])
    failed = [row for row in added if row["status"] != "completed"]
    if failed:
        raise CliError(f"{len(failed)} of {len(added)} documents aren't live; the reasons stand above.")


@docs.command("list")
def list_(store: _Store, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the documents of a store."""
    found = asyncio.run(_list(*connection(url, key, home), store))
    if as_json:
        print_json(found)
    else:
        print_table(("document", "version", "status"), [(row["key"], row["version"], row["status"]) for row in found])


@docs.command("delete")
def delete(store: _Store, document: _KeyName, url: Url = None, key: Key = None, home: Home = None) -> None:
    """Delete a document; it is out of every answer from then on."""
    asyncio.run(_delete(*connection(url, key, home), store, document))
    say(f"{document} is deleted.")


def _keys(files: list[Path]) -> dict[str, Path]:
    """Name each file as its document will be called: by its path inside the folder that was given."""
    found: dict[str, Path] = {}
    for given in files:
        inside = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        for path in inside:
            key = path.relative_to(given).as_posix() if given.is_dir() else path.name
            if key in found:
                raise CliError(
                    f"{found[key]} and {path} would both be the document {key!r}. Add them apart.", Exit.USAGE
                )
            found[key] = path
    if not found:
        raise CliError("There are no files in what was given.", Exit.USAGE)
    return found


async def _add(url: str, key: str, store: str, files: dict[str, Path]) -> list[dict[str, Any]]:
    async with Gateway(url, key, timeout=_WAIT_SECONDS + 30) as gateway:
        found = await find_store(gateway, store)
        if found is None and not store.startswith("vs_"):
            found = (await gateway.post("/v1/vector_stores", {"name": store}))["id"]
            say(f"There was no store {store!r}: made {found}.")
        if found is None:
            raise _no_store(store)
        added: list[dict[str, Any]] = []
        for name, path in files.items():
            answer = await put_document(gateway, found, name, path.read_bytes())
            say(f"{name}: {answer['error']['message'] if answer['error'] else answer['status']}")
            added.append({"key": name, **answer})
        return added


async def _list(url: str, key: str, store: str) -> list[dict[str, Any]]:
    async with Gateway(url, key) as gateway:
        found = await find_store(gateway, store)
        if found is None:
            raise _no_store(store)
        return [row async for row in gateway.rows(f"/api/vector_stores/{found}/documents")]


async def _delete(url: str, key: str, store: str, document: str) -> None:
    async with Gateway(url, key) as gateway:
        found = await find_store(gateway, store)
        if found is None:
            raise _no_store(store)
        await gateway.delete(_document(found, document))


async def put_document(gateway: Gateway, store: str, key: str, content: bytes) -> dict[str, Any]:
    """Save a document's new version and return when it answers, or has failed."""
    return await gateway.call("PUT", _document(store, key), content=content, params={"wait": _WAIT_SECONDS})


async def find_store(gateway: Gateway, name_or_id: str) -> str | None:
    """Return the id of a store, or None where there is none; two of one name are a conflict."""
    stores = gateway.rows("/v1/vector_stores")
    found = [store["id"] async for store in stores if name_or_id in (store["id"], store["name"])]
    if len(found) > 1:
        raise CliError(f"{len(found)} stores are called {name_or_id!r}: {', '.join(found)}. Say the id.", Exit.CONFLICT)
    return found[0] if found else None


def _document(store: str, key: str) -> str:
    return f"/api/vector_stores/{store}/documents/{quote(key, safe='/')}"


def _no_store(store: str) -> CliError:
    return CliError(f"There is no vector store {store!r}. 'braid docs add NAME FILE…' makes one.", Exit.NOT_FOUND)
