"""A retriever process with the packaged multilingual embedder: `python -m tests.bench.retrieval.e5_retriever`.

It takes `--socket` and `--data` as the product's own does. The embedder's package is fetched once (see `sources`).
"""

import asyncio

from tests.bench.retrieval.embedders import EMBEDDERS
from tests.retrieval.model.word_retriever import main

if __name__ == "__main__":
    asyncio.run(main(EMBEDDERS["e5"]()))
