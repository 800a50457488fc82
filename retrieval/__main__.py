"""The retriever process: `python -m retrieval --socket PATH --data DIR [--embedder MODEL] [--qdrant-url URL]`.

The keys of a Qdrant server and of a reranker are read from the environment, `QDRANT_API_KEY` and `RERANKER_API_KEY`:
arguments are everybody's to read.
`python -m retrieval show FILE` prints a document's chunks instead (`retrieval.show`).
The socket appears when it can answer. SIGTERM and SIGINT end it cleanly; `kill -9` loses nothing that was acknowledged.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from qdrant_client.http.exceptions import ApiException

from retrieval.backends import IndexBackend
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.qdrant_server import QdrantServer, QdrantUnusable
from retrieval.backends.remote import RemoteBackend
from retrieval.backends.shard_folder import IndexLocked, IndexUnreadable
from retrieval.embedder import Embedder, EmbedderMissing, load_embedder
from retrieval.index import Index
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.log_lines import set_up_log
from retrieval.reranker import RerankerMissing, load_reranker
from retrieval.show import show
from retrieval.socket_server import SocketUnusable, claim_socket, serve

__all__ = ["main"]

_log = logging.getLogger("retrieval")


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped, or show a file; return 0 after a clean end, 1 when it can't, with the reason on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["show"]:
        return show(arguments[1:])
    options = _make_parser().parse_args(arguments)
    set_up_log()
    try:
        server = None
        if options.qdrant_url:
            server = QdrantServer(options.qdrant_url, os.environ.get("QDRANT_API_KEY"), options.qdrant_ca_file)
        asyncio.run(_run(options, server))
    except (EmbedderMissing, IndexLocked, IndexUnreadable, QdrantUnusable, RerankerMissing, SocketUnusable) as error:
        _log.error("%s", error)
        return 1
    finally:
        gc.enable()
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m retrieval",
        description="Questions in, passages out. `python -m retrieval show FILE` prints a document's chunks instead.",
    )
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to answer at")
    parser.add_argument("--data", type=Path, required=True, help="folder of the index")
    parser.add_argument("--embedder", help="Hugging Face id or folder; default: the packaged all-MiniLM-L6-v2")
    parser.add_argument("--reranker", help="cross-encoder (Hugging Face id or folder) or URL of a /rerank service")
    parser.add_argument("--reranker-model", default="", help="name of that service's model")
    parser.add_argument("--qdrant-url", help="use this Qdrant server instead of the index in the data folder")
    parser.add_argument("--qdrant-ca-file", type=Path, help="certificates (PEM) to know that server by")
    return parser


async def _run(options: argparse.Namespace, server: QdrantServer | None) -> None:
    socket: Path = options.socket
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    claim_socket(socket)  # Before the model: a mistaken second start should say so at once.
    if server is not None:
        await server.look_at()  # so should a server that is away: on a busy machine the model takes minutes
    gc.disable()  # nothing of what is imported and loaded is garbage, and to look for some takes a second
    embedder = await asyncio.to_thread(load_embedder, options.embedder)
    reranker = None
    if options.reranker:
        reranker = await load_reranker(options.reranker, options.reranker_model, os.environ.get("RERANKER_API_KEY"))
    async with _open_backend(options.data, embedder, server) as backend:
        index = Index(backend, embedder, reranker)
        gc.freeze()  # no collection has to walk it again, and hold questions up by that
        gc.enable()
        try:
            _log.info("ready: %s, %s", await index.identify(), socket)
            await serve(index, socket, stop)
        finally:
            await index.close()


@asynccontextmanager
async def _open_backend(data: Path, embedder: Embedder, server: QdrantServer | None) -> AsyncGenerator[IndexBackend]:
    """Open one collection per embedder and encoder: another model never meets vectors that it can't compare."""
    collection = f"braid-{embedder.identity}-{KeywordEncoder.identity}"
    if server is None:
        yield await asyncio.to_thread(EmbeddedBackend.open, data / collection, embedder.dimensions)
        return
    client = server.make_client()
    try:
        try:
            backend = await RemoteBackend.open(client, collection, embedder.dimensions)
        except ApiException as error:
            raise QdrantUnusable(server.explain(error)) from error
        yield backend
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main())
