"""`braid docs migrate` and `braid docs move`: the documents of all tenants go to another index, without a gap."""

import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.client import Client, GatewayError
from gateway.client.documents import find_store
from gateway.evaluation.label_sets import read_lone_questions
from gateway.evaluation.labels import BadLabels
from gateway.terminal import CommandError, Exit, print_json, print_table, say

__all__ = ["migrate", "move"]

migrate = typer.Typer(
    no_args_is_help=True,
    help="Bring all documents into a second index (another embedder, another Qdrant server) and swap the two, "
    "while they are read and written. Takes an admin key.",
)

_PATH = "/api/index_migrations"
_POLL_SECONDS = 1.0
_SILENCE_SECONDS = 60.0  # until it is worth saying again that the second retriever hasn't answered
_HOPELESS_SECONDS = 90.0  # more than the longest pause until it is started again
_MOST_SECONDS = 900.0  # for its first word; it downloads the embedder before
_WAY_OUT = (
    "The move stays open: mend that and give this command again, or give the move up with 'braid docs migrate cancel'."
)
_EVALUATE_SECONDS = 900.0
_MOST_QUESTIONS = 200

_Embedder = Annotated[
    str | None, typer.Option(help="A sentence-transformers id or folder, as BRAID_EMBEDDER; '' for the packaged one.")
]
_To = Annotated[str | None, typer.Option("--to", help="A Qdrant server, as BRAID_QDRANT_URL; '' for the home folder.")]
_Server = Annotated[str, typer.Option("--to", help="The Qdrant server, as BRAID_QDRANT_URL; '' for the home folder.")]
_Force = Annotated[bool, typer.Option("--force", help="Swap although an evaluation found the target worse.")]
_Store = Annotated[
    str | None, typer.Option(help="Id (vs_…) or name of the vector store; default: those of all tenants.")
]
_Questions = Annotated[
    Path | None,
    typer.Option(
        help="Labelled questions, as for 'braid eval retrieval'; documents by key. Default: what users "
        "asked last; with few of those, questions made from titles and headings of the store's documents.",
        exists=True,
    ),
]
_Least = Annotated[
    float | None,
    typer.Option(
        help="Swap only if nDCG@10 changes by this much at least in every store, all of which must be evaluated: 0 for "
        "no worse, -0.02 for hardly worse.",
        min=-1,
        max=1,
    ),
]


@migrate.command("start")
def start(embedder: _Embedder = None, to: _To = None, url: Url = None, key: Key = None, home: Home = None) -> None:
    """Begin to bring all documents into a second index; return when they are there. Stopping this stops nothing."""
    asyncio.run(_start(*find_connection(url, key, home), embedder, to))
    say("Every document is in both indexes, and so is what is written from now on. Searches still ask the old one.")
    say("Next: 'braid docs migrate evaluate', with labelled questions if you have any, then 'braid docs migrate swap'.")


@migrate.command("status")
def status(url: Url = None, key: Key = None, home: Home = None, as_json: AsJson = False) -> None:
    """Show the latest moves, and how far they are."""
    rows = asyncio.run(_list(*find_connection(url, key, home)))
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("move", "phase", "documents", "missing", "failed", "ready"),
            [tuple(row[name] for name in ("id", "phase", "documents", "missing", "failed", "ready")) for row in rows],
        )


@migrate.command("evaluate")
def evaluate(
    store: _Store = None,
    questions: _Questions = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask both indexes the same questions, and compare what they find."""
    if questions is not None and store is None:
        raise CommandError("Labelled questions are about one store. Name it with --store.", Exit.USAGE)
    results = asyncio.run(_evaluate(*find_connection(url, key, home), store, questions))
    _show_results(results, as_json)
    if any(result["worse"] for result in results):
        raise CommandError("The target finds less, by more than chance; a swap is refused unless it is forced.")


@migrate.command("swap")
def swap(force: _Force = False, least: _Least = None, url: Url = None, key: Key = None, home: Home = None) -> None:
    """Have all searches ask the target from now on; the source is kept in step for a rollback."""
    body = {"force": force, "least_difference": least}
    row = asyncio.run(_step(*find_connection(url, key, home), "swap", body))
    _say_next(row)


@migrate.command("rollback")
def rollback(url: Url = None, key: Key = None, home: Home = None) -> None:
    """Have all searches ask the source again; nothing that was written since the swap is lost."""
    asyncio.run(_step(*find_connection(url, key, home), "rollback"))
    say("Searches ask the source again. 'braid docs migrate cancel' gives the target up, 'swap' takes it anew.")


@migrate.command("cancel")
def cancel(url: Url = None, key: Key = None, home: Home = None) -> None:
    """Give up the target, and delete what is in it."""
    asyncio.run(_step(*find_connection(url, key, home), "cancel"))
    say("The move is given up; what is in the target is being deleted.")


@migrate.command("finish")
def finish(url: Url = None, key: Key = None, home: Home = None) -> None:
    """Give up the source, and delete what is in it; there is no rollback after that."""
    asyncio.run(_step(*find_connection(url, key, home), "finish"))
    say("The move is finished; what is in the source is being deleted.")


def move(to: _Server, least: _Least = None, url: Url = None, key: Key = None, home: Home = None) -> None:
    """Take the documents of all tenants to a Qdrant server, and have searches ask it, without a gap.

    Before, both indexes are asked users' questions, or some made from the documents, and the figures are shown.
    """
    address = find_connection(url, key, home)
    asyncio.run(_start(*address, None, to))
    _show_results(asyncio.run(_evaluate(*address, None, None)), as_json=False)
    _say_next(asyncio.run(_step(*address, "swap", {"force": False, "least_difference": least})))


def _show_results(results: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(results)
    else:
        figures = ("ndcg_source", "ndcg_target", "recall_source", "recall_target")
        names = ("store", "ndcg@10 source", "target", "recall@5 source", "target")
        print_table(names, [(row["vector_store_id"], *(f"{row[name]:.3f}" for name in figures)) for row in results])
    for row in results:
        origin = f" ({row['past_questions']} of them asked by users)" if row["past_questions"] else ""
        origin += " made from its documents" if row["generated"] and not row["past_questions"] else ""
        say(
            f"{row['vector_store_id']}: nDCG@10 changes by {row['difference']:+.3f} ({row['low']:+.3f} to "
            f"{row['high']:+.3f}) over {row['questions']} questions{origin}."
        )


def _say_next(row: dict[str, Any]) -> None:
    target = row["target"]
    say("Searches ask the target now. The source is kept in step: 'braid docs migrate rollback' goes back to it.")
    say(
        f"Next: set BRAID_EMBEDDER={target['embedder']!r} and BRAID_QDRANT_URL={target['qdrant_url']!r}, restart Braid "
        "when it suits, and end with 'braid docs migrate finish'."
    )


async def _start(url: str, key: str, embedder: str | None, to: str | None) -> None:
    async with Client(url, key) as client:
        row = await _find_open(client)
        if row is None:
            row = await client.post(_PATH, {"embedder": embedder, "qdrant_url": to})
        elif embedder not in (None, row["target"]["embedder"]) or to not in (None, row["target"]["qdrant_url"]):
            raise CommandError(f"The move {row['id']} goes on, to another target. Finish or cancel it.", Exit.CONFLICT)
        await _wait_until_ready(client, row)


class _Patience:
    """Waits no longer for a second retriever than makes sense, and tells what it waits for."""

    def __init__(self) -> None:
        self._began = self._sound = time.monotonic()
        self._told_at = -math.inf
        self._has_told_fall = False

    def judge(self, move: dict[str, Any]) -> None:
        """Look at a move that isn't ready.

        Raises:
            CommandError: Its second retriever fell and doesn't come back, or has never answered.
        """
        now = time.monotonic()
        if move["problem"] is not None:
            if now - self._sound >= _HOPELESS_SECONDS:
                raise CommandError(f"The second retriever doesn't run: {move['problem']}\n{_WAY_OUT}")
            if not self._has_told_fall:
                self._has_told_fall = True
                say(f"the second retriever fell, and is started again: {move['problem']}")
            return
        self._sound, self._has_told_fall = now, False
        if move["target"]["index"] is None:
            self._tell_silence(now)

    def _tell_silence(self, now: float) -> None:
        if now - self._began >= _MOST_SECONDS:
            raise CommandError(
                f"The second retriever hasn't answered in {_MOST_SECONDS / 60:.0f} minutes. 'braid up' starts it, and "
                f"says in its log, second-retriever.log, what it does. {_WAY_OUT}",
                Exit.UNREACHABLE,
            )
        if now - self._told_at >= _SILENCE_SECONDS:
            self._told_at = now
            say("waiting for the second retriever; its log is second-retriever.log in the home folder's logs")


async def _wait_until_ready(client: Client, row: dict[str, Any]) -> None:
    patience = _Patience()
    while not row["ready"]:
        if row["phase"] != "copying":
            raise CommandError(f"The move {row['id']} is {row['phase']}.", Exit.CONFLICT)
        patience.judge(row)
        there = row["target"]["index"] is not None and row["problem"] is None
        if there and row["missing"] and row["missing"] == row["failed"] and not row["stores_behind"]:
            raise CommandError(
                f"{row['failed']} documents can't be read for the target. Replace or delete them, or cancel the move."
            )
        if there:
            say(f"{row['documents'] - row['missing']} of {row['documents']} documents are in both indexes")
        await asyncio.sleep(_POLL_SECONDS)
        row = await client.get(f"{_PATH}/{row['id']}")


async def _list(url: str, key: str) -> list[dict[str, Any]]:
    async with Client(url, key) as client:
        return (await client.get(_PATH))["data"]


async def _find_open(client: Client) -> dict[str, Any] | None:
    return next((row for row in (await client.get(_PATH))["data"] if row["ended_at"] is None), None)


async def _get_open(client: Client) -> dict[str, Any]:
    row = await _find_open(client)
    if row is None:
        raise CommandError("No documents move now. 'braid docs migrate start' begins.", Exit.NOT_FOUND)
    return row


async def _step(url: str, key: str, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with Client(url, key) as client:
        row = await _get_open(client)
        return await client.post(f"{_PATH}/{row['id']}/{verb}", body)


async def _evaluate(url: str, key: str, store: str | None, file: Path | None) -> list[dict[str, Any]]:
    """Return the evaluation of one store, or of those of all tenants that have text."""
    questions = None if file is None else _read_labels(file)
    results: list[dict[str, Any]] = []
    async with Client(url, key, timeout=_EVALUATE_SECONDS) as client:
        row = await _get_open(client)
        if store is None:
            stores = row["vector_stores"]
        else:
            stores = [await find_store(client, store) or store]
        for id in stores:
            body = {"vector_store_id": id, "questions": questions}
            try:
                results.append(await client.post(f"{_PATH}/{row['id']}/evaluate", body))
            except GatewayError as error:
                if store is not None or error.code not in ("no_questions", "not_found"):
                    raise
    return results


def _read_labels(file: Path) -> list[dict[str, Any]]:
    try:
        labels = [question for question in read_lone_questions(file, None) if question.answerable]
    except BadLabels as error:
        raise CommandError(str(error), Exit.USAGE) from None
    if len(labels) > _MOST_QUESTIONS:
        say(f"Of {len(labels)} questions the first {_MOST_QUESTIONS} are asked.")
    return [
        {"question": label.text, "documents": [name for name, grade in label.documents.items() if grade > 0]}
        for label in labels[:_MOST_QUESTIONS]
    ]
