"""The traits of the base model by which prompts are made: from its files, or else as far as an engine alone tells."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

import prompts
from gateway.engines.client import Engine
from gateway.engines.errors import EngineError, EngineRefused, NoReplica
from gateway.engines.pool import EnginePool
from gateway.engines.served_base_model import ServedBaseModel, choose_markers
from training.chat_format import needs_folding
from training.chat_template import TemplateRefused
from training.markers import EXAMPLES, select_tags

__all__ = ["BaseTraits"]

_log = structlog.get_logger()


class BaseTraits:
    """The traits of the base that engines serve.

    Where nobody has its files, engines say how they render a few conversations: whether the system text has a place of
    its own, and the tokens that mark turns. Markers that those conversations don't show stay unknown, so those of all
    known families are broken as well; and so do the digests of its weights and its template, without which no release
    can be made.

    Attributes:
        base: The base model, where it is known by its files.
        folds_system: The system text goes into the first user message, see `training.chat_format`.
        markers: What is broken in texts that others wrote.
    """

    def __init__(self, pool: EnginePool, base: ServedBaseModel | None) -> None:
        self.folds_system = base is not None and base.folds_system
        self.markers = choose_markers(base)
        self.base = base
        self._pool = pool
        self._has_answer = base is not None
        self._asking = asyncio.Lock()

    async def settle(self) -> None:
        """Ask an engine, if that has to be done still; while none answers, the traits are those of an unknown base."""
        if self._has_answer:
            return
        async with self._asking:
            if self._has_answer:
                return
            try:
                with self._pool.pick(None) as lease:
                    await self._ask(lease.engine)
            except NoReplica:
                return
            except EngineError as error:
                _log.warning("base_traits_unknown", reason=error.explain())
                self._has_answer = isinstance(error, EngineRefused)  # others may answer the next time

    async def _ask(self, engine: Engine) -> None:
        model, loop = (await engine.list_models()).base_model, asyncio.get_running_loop()

        def render(messages: list[Any], *, prompt: bool) -> str:
            try:
                waiting = engine.render_chat(model, messages, prompt=prompt)
                return asyncio.run_coroutine_threadsafe(waiting, loop).result()
            except EngineRefused as refused:
                if refused.engine_status == 400:
                    raise TemplateRefused(refused.reason) from refused
                raise

        folds = await asyncio.to_thread(needs_folding, render)
        tags = await _find_tags(engine, model)
        self.folds_system, self._has_answer = folds, True
        if tags:
            self.markers = prompts.GENERIC.join(prompts.Markers.of(tags))
        _log.info("base_known_by_its_engine_alone", base=model, folds_system=folds, markers=tags)


async def _find_tags(engine: Engine, model: str) -> Sequence[str]:
    """Return the tokens, among those of a few rendered conversations, that are written like tags."""
    tokens: set[int] = set()
    for messages in EXAMPLES:
        try:
            tokens.update(await engine.tokenize_chat(model, messages, prompt=True))
        except EngineRefused as refused:
            if refused.engine_status != 400:
                raise
    return sorted(select_tags([await engine.detokenize(model, [token]) for token in sorted(tokens)]))
