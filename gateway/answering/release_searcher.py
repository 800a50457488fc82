"""The search of a release for a conversation that isn't a request: rows and cases of jobs that judge it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from gateway.answering.question import Question
from gateway.answering.retrieve import SKIPPED, Evidence, retrieve
from gateway.answering.search_decision import SearchDecider
from gateway.assistants.release import RetrievalSpec
from gateway.db import Database
from gateway.vector_stores.search import StoreStates, read_states
from retrieval.client import Retriever

__all__ = ["ReleaseSearcher"]


@dataclass(frozen=True, slots=True)
class ReleaseSearcher:
    """Decides and searches as chat does, but that nothing is judged without its documents: every mode is `required`."""

    database: Database
    retriever: Retriever
    decider: SearchDecider

    async def find(
        self,
        tenant: str,
        question: Question,
        spec: RetrievalSpec,
        *,
        states: StoreStates | None = None,
        filters: dict[str, Any] | None = None,
    ) -> tuple[Evidence, Sequence[str]]:
        """Return what is found, and the texts that were searched for: none where the release doesn't search.

        `states` are the stores as they were at some time; without them they are as they are now.

        Raises:
            NotFound: A store is gone.
            StoreExpired: A store has expired.
            Unavailable: The retriever doesn't answer, whatever the release does then.
        """
        decision = await self.decider.decide(tenant, question, spec)
        if not decision.searched:
            return SKIPPED, ()
        strict = replace(spec, mode="required")
        evidence = await retrieve(self.database, self.retriever, tenant, strict, states, decision.queries, filters)
        return evidence, decision.queries

    async def read_states(self, tenant: str, spec: RetrievalSpec) -> StoreStates:
        """Return a release's stores as they are now, for searches that all have to see the same of them.

        Raises:
            NotFound: A store is gone.
            StoreExpired: A store has expired.
        """
        async with self.database.read() as session:
            return await read_states(session, tenant, spec.vector_stores)
