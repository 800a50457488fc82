"""`braid docs`: the documents of a vector store."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, Home, Key, Url, connection
from gateway.client import Client
from gateway.client.documents import WAIT_SECONDS, delete_document, find_store, put_document
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["docs"]

docs = typer.Typer(no_args_is_help=True, help="Add, list and delete the documents of a vector store.")

_Store = Annotated[str, typer.Argument(help="Id (vs_…) or name of the vector store.")]
_Files = Annotated[list[Path], typer.Argument(help="Files, or folders with everything in them.", exists=True)]
_KeyName = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's key, as 'braid docs list' shows it.")]


@docs.command("add")
def add(
    store: _Store, files: _Files, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Add files, or new versions of them; return when they answer. A store with a new name is made."""
    added = asyncio.run(_add(*connection(url, key, home), store, _keys(files)))
    if as_json:
        print_json(added)
    else:
        print_table(("document", "version", "status"), [(row["key"], row["version"], row["status"]) for row in added])
    failed = [row for row in added if row["status"] != "completed"]
    if failed:
        raise CommandError(f"{len(failed)} of {len(added)} documents aren't live; the reasons stand above.")


@docs.command("list")
def list_(store: _Store, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the documents of a store."""
    documents = asyncio.run(_list(*connection(url, key, home), store))
    if as_json:
        print_json(documents)
    else:
        print_table(
            ("document", "version", "status"), [(row["key"], row["version"], row["status"]) for row in documents]
        )


@docs.command("delete")
def delete(store: _Store, document: _KeyName, url: Url = None, key: Key = None, home: Home = None) -> None:
    """Delete a document; it is out of every answer from then on."""
    asyncio.run(_delete(*connection(url, key, home), store, document))
    say(f"{document} is deleted.")


def _keys(paths: list[Path]) -> dict[str, Path]:
    """Name each file as its document will be called: by its path inside the folder that was given."""
    files: dict[str, Path] = {}
    for path in paths:
        inside = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
        for file in inside:
            key = file.relative_to(path).as_posix() if path.is_dir() else file.name
            if key in files:
                raise CommandError(
                    f"{files[key]} and {file} would both be the document {key!r}. Add them apart.", Exit.USAGE
                )
            files[key] = file
    if not files:
        raise CommandError("There are no files in what was given.", Exit.USAGE)
    return files


async def _add(url: str, key: str, store: str, files: dict[str, Path]) -> list[dict[str, Any]]:
    async with Client(url, key, timeout=WAIT_SECONDS + 30) as client:
        store_id = await find_store(client, store)
        if store_id is None and not store.startswith("vs_"):
            store_id = (await client.post("/v1/vector_stores", {"name": store}))["id"]
            say(f"There was no store {store!r}: made {store_id}.")
        if store_id is None:
            raise _no_store(store)
        added: list[dict[str, Any]] = []
        for name, path in files.items():
            answer = await put_document(client, store_id, name, path.read_bytes())
            say(f"{name}: {answer['error']['message'] if answer['error'] else answer['status']}")
            added.append({"key": name, **answer})
        return added


async def _list(url: str, key: str, store: str) -> list[dict[str, Any]]:
    async with Client(url, key) as client:
        store_id = await _existing_store(client, store)
        return [row async for row in client.rows(f"/api/vector_stores/{store_id}/documents")]


async def _delete(url: str, key: str, store: str, document: str) -> None:
    async with Client(url, key) as client:
        await delete_document(client, await _existing_store(client, store), document)


async def _existing_store(client: Client, store: str) -> str:
    store_id = await find_store(client, store)
    if store_id is None:
        raise _no_store(store)
    return store_id


def _no_store(store: str) -> CommandError:
    return CommandError(f"There is no vector store {store!r}. 'braid docs add NAME FILE…' makes one.", Exit.NOT_FOUND)
