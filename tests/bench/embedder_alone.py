"""The embedder and nothing else, for `tests.bench.bulk`: `python -m tests.bench.embedder_alone FOLDER EMBEDDER`.

Needs the model environment. It cuts the folder's Markdown as an ingest does, embeds all chunks, and writes the number
of chunks, the seconds, the device and the batch as a line of JSON.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from retrieval.embedder import Embedder, load_embedder
from retrieval.messages import IngestRequest
from retrieval.parsers import parse
from retrieval.points import contextualize
from tests.retrieval.words import WordEmbedder

_CHUNK_TOKENS = 160
"""OpenAI's `auto`, as the gateway takes it."""


async def _cut(folder: Path, embedder: Embedder) -> list[str]:
    texts: list[str] = []
    for path in sorted(folder.iterdir()):
        request = IngestRequest(
            tenant="t",
            store="s",
            document=path.name,
            key=path.name,
            version=1,
            file_id="f",
            filename=path.name,
            path=str(path),
            index_epoch=1,
            max_chunk_tokens=_CHUNK_TOKENS,
        )
        parsed = await parse(path, path.name)
        chunks = contextualize(parsed, request, embedder.find_token_offsets, window=embedder.window)
        texts += [chunk.indexed_text for chunk in chunks]
    return texts


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    embedder: Embedder = load_embedder(None) if name == "packaged" else WordEmbedder()
    texts = asyncio.run(_cut(folder, embedder))
    size = embedder.batch
    batches = [texts[first : first + size] for first in range(0, len(texts), size)]
    with ThreadPoolExecutor(embedder.concurrency) as threads:
        list(threads.map(embedder.embed_passages, batches[:8]))
        started = time.perf_counter()
        list(threads.map(embedder.embed_passages, batches))
        seconds = time.perf_counter() - started
    print(json.dumps({"chunks": len(texts), "seconds": seconds, "device": embedder.device, "batch": size}))


if __name__ == "__main__":
    main()
