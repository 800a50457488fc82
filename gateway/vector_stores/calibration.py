"""A store's own weights of the probability that its passages answer, and what they were fitted to."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.errors import NotFound
from gateway.vector_stores.repository import StoreRepository
from gateway.vector_stores.tables import StoreRow
from retrieval.answer_probability import (
    MATCH_VERSION,
    STARTING_WEIGHTS,
    estimate_answer,
    estimate_generally,
    join_features,
)
from retrieval.identity import IndexIdentity
from retrieval.messages import MatchFeatures, Passage

__all__ = [
    "StoreCalibration",
    "describe_void",
    "estimate_passages",
    "find_calibration",
    "find_index_identity",
    "keep_calibration",
    "withdraw_calibration",
]


class StoreCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration as it is kept with its store.

    Attributes:
        version: Counts the store's calibrations from 1; answers are recorded with it.
        evaluation_id: The evaluation that made it, whose report has the figures.
        source: The file of the questions, or the model that wrote them.
        questions: The number of questions that the weights were fitted to.
        embedder: Identity of the embedder.
        chunker: Identity of what cut the documents.
        match: Version of the features that the weights are of.
        weights: As in `retrieval.answer_probability`.
        withdrawn_at: When a tenant took it back; its version is never given again.
    """

    version: int
    evaluation_id: str
    created_at: int
    source: str
    questions: int
    embedder: str
    chunker: str
    match: str
    weights: tuple[float, ...]
    withdrawn_at: int | None = None


def find_calibration(store: StoreRow) -> StoreCalibration | None:
    """Return the calibration that answers from the store go by; None where it has none, or a void one."""
    if store.calibration is None or describe_void(store.calibration, store.index_identity):
        return None
    return msgspec.convert(store.calibration, StoreCalibration)


def describe_void(calibration: Mapping[str, Any], index_identity: str | None) -> str:
    """Say why a calibration no longer counts; "" where it does.

    The chunker may change: other chunks of the same documents match questions in much the same ways.
    """
    if calibration.get("withdrawn_at") is not None:
        return "It was taken back. Run 'braid docs calibrate' for a new one."
    embedder = IndexIdentity.parse(index_identity or "").embedder
    if calibration["embedder"] != embedder:
        return (
            f"It was made with the embedder {calibration['embedder']!r}, and the store's documents are indexed with "
            f"{embedder!r}. Run 'braid docs calibrate' again."
        )
    if calibration["match"] != MATCH_VERSION or len(calibration["weights"]) != len(STARTING_WEIGHTS):
        return (
            f"It was made of the features {calibration['match']!r}, and this version of Braid has {MATCH_VERSION!r}. "
            "Run 'braid docs calibrate' again."
        )
    return ""


async def find_index_identity(session: AsyncSession, tenant: str, store_id: str) -> str:
    """Return the identity of the index that a store's points are in; "" where there are none.

    Raises:
        NotFound: The tenant has no such store.
    """
    return (await StoreRepository(session, tenant).get(store_id)).index_identity or ""


async def keep_calibration(session: AsyncSession, tenant: str, store_id: str, calibration: StoreCalibration) -> None:
    """Let answers from a store go by a calibration, whose version becomes the next one; no store, nothing."""
    store = await StoreRepository(session, tenant).find(store_id)
    if store is not None:
        version = 1 + (store.calibration or {"version": 0})["version"]
        store.calibration = msgspec.to_builtins(msgspec.structs.replace(calibration, version=version))


async def withdraw_calibration(session: AsyncSession, tenant: str, store_id: str) -> None:
    """Let answers from a store go by the general model again; its calibrations go on being counted.

    Raises:
        NotFound: The tenant has no such store, or the store no calibration that counts.
    """
    store = await StoreRepository(session, tenant).get(store_id, param="vector_store_id")
    if store.calibration is None or store.calibration.get("withdrawn_at") is not None:
        raise NotFound("The store has no weights of its own. 'braid docs calibrate' fits some.")
    store.calibration = {**store.calibration, "withdrawn_at": int(time.time())}


def estimate_passages(passages: Iterable[Passage], calibrations: Mapping[str, StoreCalibration]) -> float:
    """Return the probability that passages answer their question: of the store that is likeliest to; 0 without any.

    Each store's passages are weighed together by its calibration, or one by one by the general model.
    """
    by_store: dict[str, list[MatchFeatures]] = {}
    for passage in passages:
        by_store.setdefault(passage.store, []).append(passage.match)
    return max((_estimate(some, calibrations.get(store)) for store, some in by_store.items()), default=0.0)


def _estimate(matches: Sequence[MatchFeatures], calibration: StoreCalibration | None) -> float:
    if calibration is None:
        return estimate_generally(matches)
    return estimate_answer(join_features(matches), calibration.weights)
