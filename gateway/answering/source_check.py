"""A last look at what an answer is about to cite: documents that were deleted while it was made are cited no more."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.answering.trace import AnswerTrace
from gateway.db import Database, cut_slices
from gateway.vector_stores.service import find_live
from retrieval.patience import Patience

__all__ = ["SourceCheck"]

_log = structlog.get_logger()

_PATIENCE_SECONDS = 2.0
"""An answer's end waits no longer for the database."""


class SourceCheck:
    """Withdraws the documents of an answer's passages that aren't there any more, as its end comes.

    Where the database can't tell in time, all of them are withdrawn: better nothing is cited than what was deleted. It
    isn't asked again then, for the end of each further choice, which would wait as long.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, trace: AnswerTrace) -> None:
        if "unchecked" in trace.withdrawn.values():
            return
        documents = trace.list_documents()
        try:
            async with Patience(_PATIENCE_SECONDS), self._database.read() as session:
                live: set[str] = set()
                for some in cut_slices(documents):
                    live |= await find_live(session, trace.tenant, some)
        except (SQLAlchemyError, TimeoutError) as error:
            _log.warning("sources_not_checked", answer=trace.id, reason=f"{type(error).__name__}: {error}")
            trace.withdrawn = dict.fromkeys(documents, "unchecked")
        else:
            trace.withdrawn = dict.fromkeys(documents - live, "deleted")
