"""Token counts by the engine's own tokenizer, each text counted once."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Never

from gateway.engines import Engine, EnginePool, EngineTimeout, EngineUnreachable, NoReplica
from gateway.task_group import await_each

__all__ = ["TokenCounter"]

_REMEMBERED = 20_000
_COUNTS_AT_ONCE = 8  # of the process; more would only wait in the engine, each on a connection of its own


class TokenCounter:
    """Counts tokens by asking a ready replica, and remembers the counts by the texts' digests."""

    def __init__(self, pool: EnginePool, *, at_once: int = _COUNTS_AT_ONCE) -> None:
        self._pool = pool
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._counting = asyncio.Semaphore(at_once)

    def make_sibling(self, at_once: int) -> "TokenCounter":
        """Return another counter that remembers the same counts, and whose questions these never wait for."""
        other = TokenCounter(self._pool, at_once=at_once)
        other._counts = self._counts
        return other

    @property
    def context(self) -> int:
        """The base model's context in tokens; raises `NoReplica` before any replica has said it."""
        return self._pool.max_model_len or self._unknown()

    @property
    def base_model(self) -> str:
        """The name of the base model; raises `NoReplica` before any replica has said it."""
        return self._pool.base_model or self._unknown()

    def _unknown(self) -> Never:
        self._pool.pick(None).release()
        raise NoReplica("the replicas haven't said what they serve yet", 1)

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text.

        Raises:
            EngineError: No replica could count.
        """
        counts = [self._recall(text) for text in texts]
        missing = [index for index, count in enumerate(counts) if count is None]
        if missing:  # a task per text costs more than all else here
            for index, count in zip(missing, await await_each(self._ask, [texts[one] for one in missing]), strict=True):
                counts[index] = count
        return [count or 0 for count in counts]

    def recall(self, texts: Sequence[str]) -> list[int] | None:
        """Return the number of tokens of each text where all were counted before, else None."""
        counts: list[int] = []
        for text in texts:
            count = self._recall(text)
            if count is None:
                return None
            counts.append(count)
        return counts

    async def count_prompt(self, body: bytes) -> int:
        """Return the number of tokens of the prompt that an engine makes of a chat request.

        Raises:
            EngineError: No replica could count.
        """
        return await self._try_two(lambda engine: engine.count_prompt(self.base_model, body))

    def _recall(self, text: str) -> int | None:
        if not text:
            return 0
        key = hashlib.sha256(text.encode()).digest()
        count = self._counts.get(key)
        if count is not None:
            self._counts.move_to_end(key)
        return count

    async def _ask(self, text: str) -> int:
        count = await self._try_two(lambda engine: engine.tokenize(self.base_model, text))
        self._counts[hashlib.sha256(text.encode()).digest()] = count
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return count

    async def _try_two(self, ask: Callable[[Engine], Awaitable[int]]) -> int:
        """Ask a replica; one that can't be reached, or says nothing, is replaced once."""
        async with self._counting:
            with self._pool.pick(None) as lease:
                try:
                    return await ask(lease.engine)
                except (EngineTimeout, EngineUnreachable) as error:
                    lease.note_failure(error)
                    failure = error
            try:
                lease = self._pool.pick(None, (lease.replica,))
            except NoReplica:
                raise failure from None
            with lease:
                return await ask(lease.engine)
