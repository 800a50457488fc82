"""The passages for a question, at the epochs that the answer records."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import structlog

import prompts
from gateway.assistants.release import RetrievalSpec
from gateway.errors import Unavailable
from gateway.vector_stores.search import StoreStates, search
from retrieval.client import Retriever
from retrieval.messages import Passage

__all__ = ["NO_EVIDENCE", "Evidence", "find_evidence"]

_log = structlog.get_logger()


class Evidence(msgspec.Struct, frozen=True):
    """What retrieval gave: passages, best first, numbered from 1 in the prompt, and the epoch of each store.

    `status`: `off` (not asked), `found`, `nothing_found`, or `unavailable` (asked in vain, mode `degrade`).
    """

    status: Literal["off", "found", "nothing_found", "unavailable"]
    passages: tuple[Passage, ...] = ()
    epochs: dict[str, int] = {}

    def numbered(self) -> Sequence[prompts.Evidence] | None:
        """Return the passages as the prompt takes them; None leaves evidence out."""
        if self.status == "off":
            return None
        return [
            prompts.Evidence(number, title_of(passage), passage.text) for number, passage in enumerate(self.passages, 1)
        ]


NO_EVIDENCE = Evidence("off")


def title_of(passage: Passage) -> str:
    """Return a passage's title: where in its document it stands, or the document's name."""
    return passage.heading or passage.filename


async def find_evidence(
    retriever: Retriever, tenant: str, spec: RetrievalSpec, stores: StoreStates, question: str
) -> Evidence:
    """Ask the release's stores.

    Raises:
        Unavailable: The retriever can't answer and the release's mode is `required`.
    """
    threshold = spec.score_threshold or None
    try:
        passages = await search(retriever, tenant, stores, [question], limit=spec.top_k, score_threshold=threshold)
    except Unavailable as error:
        if spec.mode == "required":
            raise Unavailable(
                "The documents can't be searched now, and this assistant doesn't answer without them. Try again.",
                retry_after=2,
                code="retrieval_unavailable",
            ) from error
        _log.warning("retrieval_degraded", tenant=tenant, reason=str(error.__cause__))
        return Evidence("unavailable", (), stores.index_epochs)
    return Evidence("found" if passages else "nothing_found", tuple(passages), stores.index_epochs)
