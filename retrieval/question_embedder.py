"""Questions → vectors, as many at once as wait: sixteen in a batch cost what four cost one by one."""

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import cast

from retrieval.embedder import Embedder
from retrieval.priority_threads import Priority, PriorityThreads

__all__ = ["QuestionEmbedder"]

_BATCH = 16
"""On a processor; on a GPU as many as passages. Milliseconds of a core: 1 question → 15, 4 → 26, 8 → 36, 16 → 59, 32 →
113; a turn of documents, which a question may have to wait for, takes as many as 16."""

_CHARACTERS_PER_TOKEN = 16
"""Prose has 4 to 6; a text beyond this many times the window isn't even tokenised."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    text: str
    vector: asyncio.Future[list[float]]


class QuestionEmbedder:
    """Embeds questions in the embedder's threads: a batch at a time, and another beside it where enough wait for one.

    One whose caller has gone isn't embedded.
    """

    def __init__(self, embedder: Embedder, threads: PriorityThreads) -> None:
        self._embedder = embedder
        self._threads = threads
        self._waiting: deque[_Waiting] = deque()
        self._turns: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """The number of questions that wait for their turn."""
        return len(self._waiting)

    async def cut(self, text: str) -> str:
        """Return as much of a question as the embedder reads, beginning and end: a long message asks at either."""
        window = self._embedder.window
        room = max(window - 4, 2)  # special tokens, and one where the halves meet
        if len(text) <= room:
            return text  # no token is shorter than a character
        text = _keep_ends(text, window * _CHARACTERS_PER_TOKEN)
        offsets = await asyncio.to_thread(self._embedder.find_token_offsets, text)
        if len(offsets) <= room:
            return text
        return f"{text[: offsets[room // 2]].rstrip()} {text[offsets[room // 2 - room] :]}"

    async def embed(self, text: str) -> list[float]:
        """Return a question's vector; those that come meanwhile share the next turn."""
        waiting = _Waiting(text, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if not self._turns or (len(self._waiting) >= self._size and len(self._turns) < self._embedder.concurrency):
            # Of all who ask meanwhile: what it logs is of no one's call.
            self._turns.add(asyncio.create_task(self._take_turns(), context=Context()))
        return await waiting.vector

    @property
    def _size(self) -> int:
        return max(_BATCH, self._embedder.batch)

    async def _take_turns(self) -> None:
        try:
            while self._waiting:
                for waiting, result in await self._threads.run(Priority.QUERY, self._embed_batch):
                    if waiting.vector.done():
                        continue
                    if isinstance(result, Exception):
                        waiting.vector.set_exception(result)
                    else:
                        waiting.vector.set_result(result)
        finally:
            self._turns.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _embed_batch(self) -> list[tuple[_Waiting, list[float] | Exception]]:
        """Embed what waits now. Runs in one of the threads, beside another such."""
        batch: list[_Waiting] = []
        with suppress(IndexError):  # no more wait
            while len(batch) < self._size:
                waiting = self._waiting.popleft()
                if not waiting.vector.cancelled():
                    batch.append(waiting)
        if not batch:
            return []
        try:
            return list(zip(batch, self._embedder.embed_questions([one.text for one in batch]), strict=True))
        except Exception:
            return [(waiting, self._embed_alone(waiting.text)) for waiting in batch]

    def _embed_alone(self, text: str) -> list[float] | Exception:
        """Embed one question of a batch that failed, so that it fails by itself alone."""
        try:
            return self._embedder.embed_questions([text])[0]
        except Exception as error:
            return error


def _keep_ends(text: str, characters: int) -> str:
    """Return a text's beginning and end, of at most so many characters in all."""
    if len(text) <= characters:
        return text
    return f"{text[: characters // 2]} {text[-(characters // 2) :]}"
