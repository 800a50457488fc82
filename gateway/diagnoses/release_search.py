"""The search of a release for a case's question, as chat makes it."""

from collections.abc import Sequence

from gateway.answering.question import Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, SKIPPED, Evidence, retrieve
from gateway.answering.search_decision import SearchDecider
from gateway.db import Database
from gateway.diagnoses.cases import Case
from gateway.vector_stores.search import read_states
from retrieval.client import Retriever

__all__ = ["ReleaseSearch"]


class ReleaseSearch:
    """Searches for one tenant; what was found for a case and the same settings is remembered."""

    def __init__(self, database: Database, retriever: Retriever, decider: SearchDecider, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._decider = decider
        self._tenant = tenant
        self._results: dict[tuple[str, str], tuple[Evidence, Sequence[str]]] = {}

    async def find(self, target: Target, case: Case) -> tuple[Evidence, Sequence[str]]:
        """Return what the release finds, and the texts that it searched for: none where it didn't search.

        Raises:
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
        """
        spec = target.retrieval
        if spec is None or not case.question:
            return NO_EVIDENCE, ()
        key = case.id, repr(spec)
        if key not in self._results:
            question = Question("diagnosis", target.engine_model, case.messages, {})
            decision = await self._decider.decide(self._tenant, question, spec)
            evidence = SKIPPED
            if decision.searched:
                async with self._database.read() as session:
                    states = await read_states(session, self._tenant, spec.vector_stores)
                texts = decision.queries
                evidence = await retrieve(
                    self._database, self._retriever, self._tenant, spec, states, texts, case.filters
                )
            self._results[key] = evidence, decision.queries
        return self._results[key]
