"""Releases that might mend what was diagnosed: the release with the strand at fault changed."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gateway.assistants.release import RetrievalSpec
from gateway.diagnoses.cases import Strand
from gateway.diagnoses.passage_finder import PassagePlace
from gateway.diagnoses.variants import ReleaseVariant, ReleaseVariants, to_request

__all__ = ["ANY_LIMIT", "DiagnosedPlace", "list_candidates"]

ANY_LIMIT = 50
"""The most passages that a release may ask for."""
_SLACK = 0.9
"""Of the lowest probability or score that was refused: the next question's is a little lower."""
_LEAST_SHARE = 0.2
"""Of a strand's failures that have a cause, for it to be mended too."""


class DiagnosedPlace(msgspec.Struct, frozen=True):
    """A failure of retrieval: its cause, and where its passage is."""

    cause: str
    place: PassagePlace


def list_candidates(strand: Strand, release: ReleaseVariants, places: Sequence[DiagnosedPlace]) -> list[ReleaseVariant]:
    """List what might mend a strand's failures, with their `places`; none where no setting of a release does."""
    if strand in ("prompt", "style"):
        return [one for one in release.variants if one.strand == strand]
    if strand == "retrieval" and release.spec.retrieval is not None:
        retrieval, words = _mend_retrieval(release.spec.retrieval, places)
        if words:
            return [
                ReleaseVariant(
                    *("retrieval", "retrieval", "retrieval", "; ".join(words)),
                    replace(release.target, retrieval=retrieval),
                    to_request(replace(release.spec, retrieval=retrieval)),
                )
            ]
    return []


def _mend_retrieval(spec: RetrievalSpec, places: Sequence[DiagnosedPlace]) -> tuple[RetrievalSpec, list[str]]:
    """Return the settings without what kept passages out, and the changes in words."""
    counts = Counter(one.cause for one in places)
    causes = {cause for cause, count in counts.items() if count >= max(1, _LEAST_SHARE * len(places))}
    fixes: dict[str, Any] = {}
    words: list[str] = []
    ranks = [one.place.rank for one in places if one.place.rank is not None and one.cause != "distractors"]
    most = min(ANY_LIMIT, max(ranks, default=0))
    if causes & {"limit", "abstention", "ranking_rules", "score_threshold"} and most > spec.top_k:
        fixes["top_k"] = most
        words.append(f"top_k {most} instead of {spec.top_k}")
    if "abstention" in causes:
        likely = [one.place.probability for one in places if one.cause == "abstention"]
        least = round(_SLACK * min((one for one in likely if one is not None), default=0.0), 3)
        fixes["least_probability"] = least or UNSET
        words.append(f"least_probability {least:g} instead of {spec.least_probability or 0:g}")
    if "score_threshold" in causes:
        refused = [one.place.passages for one in places if one.cause == "score_threshold"]
        scores = [passage.score for passages in refused for passage in passages]
        fixes["score_threshold"] = round(_SLACK * min(scores), 3)
        words.append(f"score_threshold {fixes['score_threshold']:g} instead of {spec.score_threshold:g}")
    if "filters" in causes and spec.filters is not UNSET:
        fixes["filters"] = UNSET
        words.append("no filters (see first who may read what they kept out)")
    if "search_decision" in causes:
        fixes["when"] = UNSET
        words.append("when 'always': all turns are searched for")
    if "ranking_rules" in causes:
        fixes |= {"max_per_document": UNSET, "collapse_duplicates": UNSET, "boosts": UNSET}
        words.append("no boosts, no max_per_document, no collapse_duplicates")
    if "chunking" in causes and spec.expand is UNSET:
        fixes["expand"] = "section"
        words.append("expand 'section': passages with all that is below their headings")
    if "distractors" in causes:
        needed = max((one.place.rank or 1 for one in places if one.cause == "distractors"), default=1)
        if needed < spec.top_k and "top_k" not in fixes:
            fixes["top_k"] = needed
            words.append(f"top_k {needed} instead of {spec.top_k}: further passages mislead")
    return replace(spec, **fixes), words
