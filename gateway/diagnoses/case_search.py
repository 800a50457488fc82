"""The search of a release for a case's question, as chat makes it."""

from collections.abc import Sequence

from gateway.answering.question import Question
from gateway.answering.release_searcher import ReleaseSearcher
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.diagnoses.cases import Case

__all__ = ["CaseSearch"]


class CaseSearch:
    """Searches for one tenant; what was found for a case and the same settings is remembered."""

    def __init__(self, searcher: ReleaseSearcher, tenant: str) -> None:
        self._searcher = searcher
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
            self._results[key] = await self._searcher.find(self._tenant, question, spec, filters=case.filters)
        return self._results[key]
