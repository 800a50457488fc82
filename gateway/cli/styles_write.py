"""`braid styles write`: rows from documents, where there are no conversations yet."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.named_store import get_store
from gateway.cli.options import AsJson, Home, Key, Url, check_output_file, find_connection
from gateway.client import Client, ClientError
from gateway.conversations import Conversation, UnusableFile, encode_conversations
from gateway.conversations.formats import read_conversations
from gateway.conversations.written_rows import LEAST_EXAMPLES, REASONS, RowWriter, WrittenRows
from gateway.counts import format_count
from gateway.progress import Progress
from gateway.terminal import CommandError, Exit, print_json, say

__all__ = ["write"]

_Examples = Annotated[
    Path,
    typer.Argument(
        help="A few conversations in the style, of any format that 'braid styles check' reads.",
        exists=True,
        dir_okay=False,
    ),
]
_Store = Annotated[str, typer.Option("--store", help="Id or name of the vector store with the documents.")]
_Out = Annotated[Path, typer.Option("--out", "-o", callback=check_output_file, help="The file of JSONL to write.")]
_Guide = Annotated[Path | None, typer.Option(help="A file with the style in words.", exists=True, dir_okay=False)]
_Rows = Annotated[int, typer.Option(help="The most rows.", min=1, max=2000)]
_BestOf = Annotated[int, typer.Option(help="Replies of which the best is kept.", min=1, max=16)]
_TopK = Annotated[int, typer.Option(help="Passages per row, as the release will have.", min=1, max=20)]
_LeastStyle = Annotated[float, typer.Option(help="The style score that a reply needs, 0 to 1.", min=0, max=1)]
_Seed = Annotated[int, typer.Option(help="Decides which passages come first.", min=0)]
_Model = Annotated[str | None, typer.Option(help="The model that writes; default: the base model.")]


def write(
    examples: _Examples,
    store: _Store,
    out: _Out,
    guide: _Guide = None,
    rows: _Rows = 100,
    best_of: _BestOf = 4,
    top_k: _TopK = 5,
    least_style: _LeastStyle = 0.5,
    seed: _Seed = 0,
    model: _Model = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write rows from a store's documents and a few examples of the style, as OpenAI's JSONL with passages.

    The served model asks questions about passages and answers them in the style; what states values that its passages
    don't, or has too little of the style, is left out and counted. Each row names the model that wrote it: a release
    with an adapter that learnt from some gets no traffic before its gate has passed.
    Stopped by Ctrl-C, it leaves in the file what it has written by then.
    """
    conversations = _read_examples(examples)
    words = guide.read_text("utf-8") if guide is not None else ""
    address = find_connection(url, key, home)

    async def work() -> WrittenRows:
        async with Client(*address) as client:
            store_id = await get_store(client, store)
            name = model or (await client.get("/v1/models"))["data"][0]["id"]
            writer = RowWriter(
                *(client, name, store_id, words, conversations),
                best_of=best_of,
                top_k=top_k,
                least_style=least_style,
            )
            try:
                with Progress().line("rows") as line:
                    await writer.write(rows, seed, lambda count: line.show(count, rows))
            except (asyncio.CancelledError, ClientError):
                if count := len(_save(writer, out).rows):
                    say(f"{out} has the {format_count(count, 'row that was', 'rows that were')} written by now.")
                raise
            return _save(writer, out)

    outcome = asyncio.run(work())
    if not outcome.rows:
        raise CommandError(f"No row was written. {_describe(outcome)}".strip())
    if as_json:
        mean = sum(outcome.scores) / len(outcome.scores)
        print_json({"rows": len(outcome.rows), "style": round(mean, 4), "refused": dict(outcome.refused)})
    else:
        say(f"{out} has {format_count(len(outcome.rows), 'row')}. {_describe(outcome)}".strip())


def _save(writer: RowWriter, out: Path) -> WrittenRows:
    """Put the rows that are written by now into the file, if there are any."""
    outcome = writer.collect()
    if outcome.rows:
        out.write_bytes(encode_conversations(outcome.rows))
    return outcome


def _describe(outcome: WrittenRows) -> str:
    parts = [f"{count} {REASONS[reason]}" for reason, count in outcome.refused.most_common()]
    return f"Left out: {', '.join(parts)}." if parts else ""


def _read_examples(file: Path) -> Sequence[Conversation]:
    try:
        _, content = read_conversations(file.read_bytes(), None, {})
    except UnusableFile as error:
        raise CommandError(f"{file}: {error}", Exit.USAGE) from None
    if len(content.conversations) < LEAST_EXAMPLES:
        raise CommandError(
            f"{file} has {format_count(len(content.conversations), 'conversation')} that can be used, and a style "
            f"needs {LEAST_EXAMPLES} at least; from 10 on its rules are learnt too.",
            Exit.USAGE,
        )
    return content.conversations
