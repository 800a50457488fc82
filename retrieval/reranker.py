"""A second look at the best passages: a cross-encoder, or a service with Cohere's `/rerank`.

Either reads question and passage together, which costs too much for all passages of a store. Off unless the operator
names one and a release asks for it.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import httpx2
import msgspec

from retrieval.embedder import choose_device
from retrieval.messages import Passage
from retrieval.patience import Patience
from retrieval.priority_threads import Priority, PriorityThreads

__all__ = [
    "CrossEncoderReranker",
    "RerankFailed",
    "RerankService",
    "Reranker",
    "RerankerMissing",
    "load_reranker",
    "rerank",
]

_MOST_BYTES = 1024**2
_SECONDS = 2.0
_log = logging.getLogger(__name__)


class RerankerMissing(Exception):
    """No reranker can be loaded from the given source."""


class RerankFailed(Exception):
    """The reranker gave no scores; the message says why."""


class Reranker(Protocol):
    """Scores passages for a question. Its caller sets the time that it may take."""

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score per text, 0..1.

        Raises:
            RerankFailed: There are none.
        """
        ...

    async def close(self) -> None: ...


class CrossEncoderReranker:
    """A sentence-transformers cross-encoder, in a thread of its own: a question's vector doesn't wait for it."""

    def __init__(self, model: Any, activation: Any) -> None:
        self._model = model
        self._activation = activation
        self._threads = PriorityThreads("reranker")

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        return await self._threads.run(Priority.QUERY, self._predict, question, list(texts))

    def _predict(self, question: str, texts: list[str]) -> list[float]:
        pairs = [(question, text) for text in texts]
        try:
            scores = self._model.predict(pairs, activation_fn=self._activation, show_progress_bar=False)
            return [float(score) for score in scores]
        except (RuntimeError, TypeError, ValueError) as error:
            raise RerankFailed(f"The cross-encoder gave no scores: {error}") from error

    async def close(self) -> None:
        await self._threads.close()


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Answer(msgspec.Struct):
    results: list[_Result]


class RerankService:
    """A URL that takes `model`, `query` and `documents`, as those of Cohere, Jina and vLLM do."""

    def __init__(self, url: str, model: str = "", api_key: str | None = None) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = url
        self._model = model
        self._client = httpx2.AsyncClient(headers=headers, timeout=None)

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        body = {"model": self._model, "query": question, "documents": list(texts), "top_n": len(texts)}
        try:
            async with self._client.stream("POST", self._url, json=body) as answer:
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > _MOST_BYTES:
                        raise RerankFailed(f"The reranker at {self._url} answered with more than {_MOST_BYTES} bytes.")
        except httpx2.HTTPError as error:
            raise RerankFailed(f"The reranker at {self._url} can't be asked: {error!r}") from error
        if answer.status_code != 200:
            raise RerankFailed(f"The reranker at {self._url} answered with {answer.status_code}.")
        return self._read(content, len(texts))

    def _read(self, content: bytes, texts: int) -> list[float]:
        try:
            results = msgspec.json.decode(content, type=_Answer).results
        except msgspec.DecodeError as error:
            raise RerankFailed(f"The reranker at {self._url} answered with something else: {error}") from error
        scores = {result.index: min(max(result.relevance_score, 0.0), 1.0) for result in results}
        if sorted(scores) != list(range(texts)):
            raise RerankFailed(f"The reranker at {self._url} scored {len(scores)} of {texts} passages.")
        return [scores[index] for index in range(texts)]

    async def close(self) -> None:
        await self._client.aclose()


async def rerank(reranker: Reranker, question: str, passages: list[Passage]) -> list[Passage]:
    """Return the passages by the reranker's scores, best first; as they were, where it fails or takes too long."""
    if not passages:
        return passages
    try:
        async with Patience(_SECONDS):
            scores = await reranker.score(question, [passage.text for passage in passages])
    except (RerankFailed, TimeoutError) as error:
        _log.warning("not reranked: %s", error if str(error) else f"no answer within {_SECONDS:g} s")
        return passages
    ranked = [
        msgspec.structs.replace(passage, score=score, reranked=True)
        for passage, score in zip(passages, scores, strict=True)
    ]
    return sorted(ranked, key=lambda passage: (-passage.score, passage.id))


async def load_reranker(source: str, model: str = "", api_key: str | None = None) -> Reranker:
    """Load a cross-encoder from a folder or by its Hugging Face id, or take the URL of a service.

    Raises:
        RerankerMissing: There is nothing to load, or a key would go over the network in the clear.
    """
    if source.startswith(("http://", "https://")):
        if (
            api_key
            and source.startswith("http://")
            and httpx2.URL(source).host not in ("127.0.0.1", "::1", "localhost")
        ):
            raise RerankerMissing(f"An API key would be sent to {source} in the clear. Give an https:// URL.")
        return RerankService(source, model, api_key)
    return await asyncio.to_thread(_load_cross_encoder, source)


def _load_cross_encoder(source: str) -> CrossEncoderReranker:
    import torch
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(source, local_files_only=Path(source).is_dir(), device=choose_device(torch))
    except (OSError, ValueError) as error:
        raise RerankerMissing(
            f"The reranker '{source}' can't be loaded: {error}. Give a folder with a cross-encoder, the id of one that "
            "this machine can download, or the URL of a service."
        ) from error
    if model.num_labels != 1:
        raise RerankerMissing(f"The reranker '{source}' gives {model.num_labels} scores per passage, not one.")
    return CrossEncoderReranker(cast(Any, model), torch.nn.Sigmoid())
