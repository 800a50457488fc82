"""`python -m retrieval show FILE`: the chunks that a document would have in an index."""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from retrieval.embedder import Embedder, EmbedderMissing, load_embedder
from retrieval.errors import DocumentUnreadable, RetrieverFailed
from retrieval.log_lines import limit_warnings
from retrieval.messages import IngestRequest
from retrieval.parsers import ParsedDocument, parse
from retrieval.points import contextualize
from retrieval.sign_runs import measure_thinned

__all__ = ["describe_chunks", "show"]


def show(arguments: list[str]) -> int:
    """Write a file's chunks to stdout; return 0, or 1 where it has none, with the reason on stderr."""
    options = _make_parser().parse_args(arguments)
    limit_warnings()
    try:
        options.file.open("rb").close()
    except OSError as error:
        sys.stderr.write(f"{options.file} can't be opened: {error.strerror}. Give the path of a document.\n")
        return 1
    request = IngestRequest(
        tenant="",
        store="",
        document="",
        key="",
        version=1,
        file_id="",
        filename=options.file.name,
        path=str(options.file),
        index_epoch=1,
        max_chunk_tokens=options.max_tokens,
        overlap_tokens=options.overlap_tokens,
    )
    try:
        document = asyncio.run(parse(options.file, options.file.name))
        embedder = load_embedder(options.embedder)
    except (DocumentUnreadable, EmbedderMissing, RetrieverFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        sys.stdout.writelines(f"{line}\n" for line in describe_chunks(document, request, embedder))
        sys.stdout.flush()
    except BrokenPipeError:  # `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter fails as it ends
    return 0


def describe_chunks(document: ParsedDocument, request: IngestRequest, embedder: Embedder) -> Iterator[str]:
    """Return lines about a document and each of its chunks: place, size in tokens and characters, offsets, text.

    It is the text as passages show it, without the lines of headings that the place says.
    """
    find_tokens = measure_thinned(embedder.find_token_offsets)
    chunks = contextualize(document, request, embedder.find_token_offsets, window=embedder.window)
    title = f' "{document.title}",' if document.title else ""
    yield f"{request.filename}: {document.media_type},{title} {len(document.text)} characters, {len(chunks)} chunks"
    yield from (f"warning: {warning}" for warning in document.warnings)
    for chunk in chunks:
        place = [chunk.heading or request.filename, *([f"page {chunk.page}"] if chunk.page else [])]
        text = chunk.text[chunk.headline :]
        tokens = len(find_tokens(text))
        yield ""
        yield (
            f"--- {chunk.ordinal + 1}: {', '.join(place)} "
            f"[{tokens} tokens, {len(text)} characters, {chunk.start + chunk.headline}–{chunk.end}]"
        )
        yield text


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m retrieval show", description="The chunks of a document.")
    parser.add_argument("file", type=Path, help="a document, as it would be uploaded")
    parser.add_argument("--max-tokens", type=int, default=160, help="size of a chunk; default: 160, as for uploads")
    parser.add_argument("--overlap-tokens", type=int, default=0, help="tokens repeated of the chunk before; default: 0")
    parser.add_argument("--embedder", help="Hugging Face id or folder; default: the packaged all-MiniLM-L6-v2")
    return parser
