"""The parts that jobs have which judge answers: gates, advice, diagnoses."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.answering.release_searcher import ReleaseSearcher
from gateway.answering.resolve import Target
from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.engines import EnginePool, Reconciler
from gateway.engines.base_traits import BaseTraits
from gateway.engines.token_counter import TokenCounter
from gateway.gates.base_answers import BaseAnswers
from gateway.gates.interview import Interview, Notes
from retrieval.client import Retriever

__all__ = ["JudgingParts"]

_PATIENCE_SECONDS = 30.0
"""For an adapter that isn't on an engine yet."""


@dataclass(frozen=True, slots=True)
class JudgingParts:
    """All that is asked: the tenants' rows and files, the index, the engines."""

    database: Database
    artifacts: Artifacts
    retriever: Retriever
    pool: EnginePool
    reconciler: Reconciler
    searcher: ReleaseSearcher
    traits: BaseTraits

    @property
    def base_model(self) -> str:
        """The name of the base model; raises `NoReplica` before any engine has said it."""
        return TokenCounter(self.pool).base_model

    def make_interview(self, tenant: str, notes: Notes, base_answers: BaseAnswers | None = None) -> Interview:
        """Return what asks the engines for a tenant, and notes their answers."""
        return Interview(self.pool, TokenCounter(self.pool), self.traits, tenant, notes, base_answers)

    async def wait_for_adapters(self, targets: Iterable[Target]) -> None:
        """Wait until an engine has each adapter that is going to be asked.

        Raises:
            AdapterUnservable: An engine has refused one for good.
            AdapterNotLoaded: None has one of them in half a minute.
        """
        for adapter in {target.adapter for target in targets}:
            if adapter is not None:
                await self.reconciler.wait_until_resident(adapter, _PATIENCE_SECONDS, everywhere=False)
