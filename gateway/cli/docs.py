"""`braid docs`: the documents of a vector store."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.cli.bulk_add import BulkAdd, RepeatedSentences, sum_up
from gateway.cli.docs_calibrate import calibrate
from gateway.cli.docs_migrate import migrate, move
from gateway.cli.named_store import get_or_make_store, get_store
from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.cli.watched_files import WatchedFiles
from gateway.client import Client, ClientError
from gateway.client.documents import WAIT_SECONDS, delete_document
from gateway.counts import format_count
from gateway.sources.path_filter import is_hidden
from gateway.terminal import CommandError, Exit, print_json, print_table, print_text, say

__all__ = ["docs", "name_documents"]

docs = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Add, list and delete the documents of a vector store."
)

docs.add_typer(migrate, name="migrate")
docs.command("move")(move)
docs.command("calibrate")(calibrate)

_Store = Annotated[str, typer.Argument(help="Id (vs_…) or name of the vector store.")]
_AllStores = Annotated[str | None, typer.Argument(help="Id or name of one vector store; default: every one of yours.")]
_Files = Annotated[
    list[Path], typer.Argument(help="Files, or folders with what is in them but for hidden files.", exists=True)
]
_Watch = Annotated[
    bool, typer.Option("--watch", help="Go on: send each file when it is saved, and say how soon it is searchable.")
]
_PROGRESS_SECONDS = 1.0
_PATIENCE = 600  # looks without progress: a large document may take minutes
_KeyName = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's key, as 'braid docs list' shows it.")]


@docs.command("add")
def add(
    store: _Store,
    files: _Files,
    watch: _Watch = False,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add files, or new versions of them; return when they answer. A store with a new name is made.

    Files that the store has as they are aren't sent again: the same command goes on where it was stopped. Hidden files
    and folders (.git, .DS_Store) inside of a folder are left out; name one to add it.
    """
    asyncio.run(_add(*find_connection(url, key, home), store, files, watch, as_json))


def _show_added(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print what became of some files.

    Raises:
        CommandError: Not all of them are live.
    """
    if as_json:
        print_json(rows)
    else:
        columns = ("document", "version", "status", "chunks", "embedded")
        print_table(columns, [tuple(row[name] for name in ("key", *columns[1:])) for row in rows])
    say(sum_up(rows))
    failed = [row for row in rows if row["status"] != "completed"]
    if failed:
        raise CommandError(f"{len(failed)} of {len(rows)} documents aren't live; the reasons stand above.")


@docs.command("list")
def list_(store: _Store, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the documents of a store, and say what is wrong with those that failed."""
    documents = asyncio.run(_list(*find_connection(url, key, home), store))
    if as_json:
        print_json(documents)
    else:
        print_table(
            ("document", "version", "status"), [(row["key"], row["version"], row["status"]) for row in documents]
        )
        sentences = RepeatedSentences()
        for row in documents:
            if row["error"]:
                say(f"{row['key']}: {sentences.drop(row['error']['message'])}")


@docs.command("delete")
def delete(store: _Store, document: _KeyName, url: Url = None, key: Key = None, home: Home = None) -> None:
    """Delete a document; it is out of every answer from then on."""
    asyncio.run(_delete(*find_connection(url, key, home), store, document))
    say(f"{document} is deleted.")


@docs.command("reindex")
def reindex(
    store: _AllStores = None, url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Index documents again that aren't in the present index, or were cut by an older version; return when it is done.

    Stopping the command doesn't stop the work; the same command again shows how far it is.
    """
    states = asyncio.run(_reindex(*find_connection(url, key, home), store))
    if not states:
        say("The tenant of this key has no vector stores. Those of another tenant need one of its keys.")
    if as_json:
        print_json(states)
    else:
        print_table(
            ("store", "documents", "state"), [(s["vector_store_id"], s["documents"], s["state"]) for s in states]
        )
    if any(state["state"] != "current" for state in states):
        raise CommandError("Not all documents could be indexed again; 'braid docs list' names them.")


def name_documents(paths: list[Path]) -> dict[str, Path]:
    """Name each file as its document will be called: by its path inside the folder that was given."""
    files: dict[str, Path] = {}
    for path in paths:
        inside = _list_visible(path) if path.is_dir() else [path]
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


def _list_visible(folder: Path) -> list[Path]:
    """List a folder's files but for hidden ones, and say how many those are."""
    every = {file: is_hidden(file.relative_to(folder).as_posix()) for file in folder.rglob("*") if file.is_file()}
    visible = sorted(file for file, hidden in every.items() if not hidden)
    if len(visible) < len(every):
        example = min(file for file, hidden in every.items() if hidden).relative_to(folder)
        words = format_count(len(every) - len(visible), "hidden file is", "hidden files are")
        say(f"{words} left out of {folder}, such as {example}.")
    return visible


async def _add(url: str, key: str, store: str, paths: list[Path], watch: bool, as_json: bool) -> None:
    files = name_documents(paths)
    async with Client(url, key, timeout=WAIT_SECONDS + 30) as client:
        store_id = await get_or_make_store(client, store)
        add = BulkAdd(client, store_id)
        try:
            _show_added(await add.add(files), as_json)
        except CommandError as error:
            if not watch:
                raise
            say(f"braid: {error}")
        if watch:
            await _follow(WatchedFiles(add, files, paths, partial(_show_saved, as_json)))


async def _follow(watched: WatchedFiles) -> None:
    """Watch until SIGINT or SIGTERM, where this thread hears of them."""
    stop = asyncio.Event()
    with suppress(RuntimeError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    say("Watching. Ctrl-C ends it; the same command goes on from there.")
    try:
        await watched.follow(stop)
    except* ClientError as errors:
        raise errors.exceptions[0] from None


def _show_saved(as_json: bool, row: Mapping[str, Any], sentence: str) -> None:
    """Tell the person of a file that was saved, and a program in a line of JSON."""
    say(sentence)
    if as_json and row["status"] != "waiting":
        print_text(msgspec.json.encode(row).decode())


async def _reindex(url: str, key: str, store: str | None) -> list[dict[str, Any]]:
    async with Client(url, key) as client:
        if store is None:
            ids = [row["id"] async for row in client.read_rows("/v1/vector_stores")]
        else:
            ids = [await get_store(client, store)]
        # All are asked for first: tenants' jobs take turns, and the worker has more than one slot.
        paths = {id: f"/api/vector_stores/{id}/index" for id in ids}
        begun = [await client.post(path) for path in paths.values()]
        return [await _wait_for(client, paths[state["vector_store_id"]], state) for state in begun]


async def _wait_for(client: Client, path: str, state: dict[str, Any]) -> dict[str, Any]:
    """Wait until a store is indexed, or nothing is gained any more, and say how far it is."""
    stalled = 0
    while state["state"] != "current" and stalled < _PATIENCE:
        rest = state["missing"] + state["outdated"]
        say(f"{state['vector_store_id']}: {state['documents'] - rest} of {state['documents']} documents are indexed")
        await asyncio.sleep(_PROGRESS_SECONDS)
        state = await client.get(path)
        stalled = stalled + 1 if state["missing"] + state["outdated"] == rest else 0
    return state


async def _list(url: str, key: str, store: str) -> list[dict[str, Any]]:
    async with Client(url, key) as client:
        store_id = await get_store(client, store)
        return [row async for row in client.read_rows(f"/api/vector_stores/{store_id}/documents")]


async def _delete(url: str, key: str, store: str, document: str) -> None:
    async with Client(url, key) as client:
        await delete_document(client, await get_store(client, store), document)
