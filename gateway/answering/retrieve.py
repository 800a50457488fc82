"""The passages for a question, at the index epochs that the answer records."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import structlog

import prompts
from gateway.answering.neighbours import extend_passages
from gateway.answering.ranking import RankedPassage, arrange, count_wanted
from gateway.assistants.release import RetrievalSpec
from gateway.db import Database
from gateway.errors import BraidError, NotFound, Unavailable
from gateway.vector_stores.calibration import estimate_passages
from gateway.vector_stores.search import StoreExpired, StoreStates, read_states, search
from retrieval.client import Retriever
from retrieval.filters import join_filters
from retrieval.messages import Passage

__all__ = ["NO_EVIDENCE", "SKIPPED", "Evidence", "gather_epochs", "retrieve"]

_log = structlog.get_logger()


class Evidence(msgspec.Struct, frozen=True):
    """The result of retrieval: passages, best first, numbered from 1 in the prompt, and each store's index epoch.

    `hits` has the same passages with their copies and what happened to them.

    `status`: `off` (not asked), `skipped` (small talk), `found`, `nothing_found`, `nothing_likely` (no passage is
    likely to answer), or `unavailable` (asked in vain, mode `degrade`). `rerank` is `failed` where the release asks for
    it and the passages are in the order of the search all the same. `probability` is that of an answer in the passages
    as the release ranks and picks them, by `calibrations`: the versions of the stores' own, for those that have one.
    `indexes` are the identities of what was searched. `problem` is the code of the error for which it is `unavailable`.
    """

    status: Literal["off", "skipped", "found", "nothing_found", "nothing_likely", "unavailable"]
    passages: tuple[Passage, ...] = ()
    index_epochs: dict[str, int] = {}
    rerank: Literal["off", "done", "failed"] = "off"
    hits: tuple[RankedPassage, ...] = ()
    probability: float | None = None
    calibrations: dict[str, int] = {}
    indexes: Sequence[str] = ()
    problem: str = ""

    def for_prompt(self) -> Sequence[prompts.NumberedPassage] | None:
        """Return the passages as the prompt takes them; None leaves evidence out."""
        if self.status in ("off", "skipped"):
            return None
        return [
            prompts.NumberedPassage(number, passage.title, passage.body)
            for number, passage in enumerate(self.passages, 1)
        ]


NO_EVIDENCE = Evidence("off")
SKIPPED = Evidence("skipped")


def gather_epochs(searches: Iterable[Mapping[str, int]]) -> dict[str, list[int]]:
    """Gather the index epochs of several searches by store; more than one where documents changed meanwhile."""
    index_epochs: dict[str, set[int]] = {}
    for states in searches:
        for store, index_epoch in states.items():
            index_epochs.setdefault(store, set()).add(index_epoch)
    return {store: sorted(numbers) for store, numbers in index_epochs.items()}


async def retrieve(
    database: Database,
    retriever: Retriever,
    tenant: str,
    spec: RetrievalSpec,
    stores: StoreStates | None,
    texts: Sequence[str],
    filters: dict[str, Any] | None = None,
) -> Evidence:
    """Search the release's stores for the texts, among what both the release's filters and the request's let through.

    `stores` is their state at some time; None reads it as it is now.

    Raises:
        Unavailable: The documents can't be searched and the release's mode is `required`; the message has the reason.
        NotFound: As above, since a store was deleted.
        StoreExpired: As above, since a store has expired.
    """
    try:
        if stores is None:
            async with database.read() as session:
                stores = await read_states(session, tenant, spec.vector_stores)
    except (NotFound, StoreExpired) as error:
        if spec.mode == "required":
            raise
        # Without index epochs: no use of the stores is noted, so that what has expired stays so.
        return _degrade(tenant, error, {})
    try:
        passages = await search(
            database,
            retriever,
            tenant,
            stores,
            texts,
            limit=count_wanted(spec),
            filters=join_filters(spec.filters or None, filters),
            score_threshold=spec.score_threshold or None,
            weights=spec.weights or None,
            rerank=spec.rerank is True,
        )
    except Unavailable as error:
        if spec.mode == "required":
            raise Unavailable(
                f"This assistant doesn't answer without its documents. {error.message}",
                retry_after=int(error.headers["retry-after"]),
                code="retrieval_unavailable",
            ) from error
        return _degrade(tenant, error, stores.index_epochs)
    if not passages:
        return Evidence("nothing_found", (), stores.index_epochs, indexes=stores.indexes)
    arranged = arrange(passages, spec, time.time())
    evidence = _judge(arranged, spec, stores)
    if evidence.status == "nothing_likely":
        return evidence
    reranked = all(passage.reranked for passage in passages)
    rerank = "off" if spec.rerank is not True else "done" if reranked else "failed"
    hits = await extend_passages(retriever, tenant, spec, stores, arranged)
    in_prompt = tuple(one.passage for one in hits)
    return msgspec.structs.replace(evidence, passages=in_prompt, rerank=rerank, hits=tuple(hits))


def _judge(arranged: Sequence[RankedPassage], spec: RetrievalSpec, stores: StoreStates) -> Evidence:
    """Tell by the passages that the release shows whether one is likely to answer; they aren't in the result yet.

    What extends them is left out: no match with the question is known of that.
    """
    probability = round(estimate_passages((one.passage for one in arranged), stores.calibrations), 4)
    return Evidence(
        "nothing_likely" if probability < (spec.least_probability or 0) else "found",
        (),
        stores.index_epochs,
        probability=probability,
        calibrations={store: calibration.version for store, calibration in stores.calibrations.items()},
        indexes=stores.indexes,
    )


def _degrade(tenant: str, error: BraidError, index_epochs: dict[str, int]) -> Evidence:
    cause = str(error.__cause__ or "")  # of a timeout there is none to read
    _log.warning("retrieval_degraded", tenant=tenant, code=error.code, reason=cause or error.message)
    return Evidence("unavailable", (), index_epochs, problem=error.code or "")
