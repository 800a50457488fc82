"""Measures how passages match a question, for the probability that they answer it.

Neither the size of a store nor the scale of an embedder's cosines is in the figures, and documents that don't come
near the question change none of them.
"""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from retrieval.backends import Candidate
from retrieval.fusion import measure_closeness
from retrieval.keyword_encoder import read_passage, read_question
from retrieval.messages import MatchFeatures
from retrieval.question_names import find_missing, match_other_numbers, read_names

__all__ = ["measure_matches"]

_MATCHED = 20
"""Passages whose words are looked at; what ranks behind them has never the best match."""

_MOST_WORDS = 64
"""Of a question; a longer one is a text, of which the beginning tells enough."""

_PLACE = 10
_REACH = 2
"""Words from one to the next that still count as beside each other."""


def measure_matches(
    question: str, best: Sequence[Candidate], candidates: Sequence[Candidate], unrelated: float
) -> list[MatchFeatures]:
    """Return the features of each of the best passages; those behind the first twenty have none.

    Args:
        question: As it was searched for.
        best: The passages, best first.
        candidates: All that the index had for the question, `best` among them.
        unrelated: The embedder's cosine of unrelated texts.
    """
    words = read_question(question)[:_MOST_WORDS]
    top = best[:_MATCHED]
    passages = [unicodedata.normalize("NFKC", f"{_head(one)}\n{one.payload['text']}") for one in top]
    names = read_names(question, passages)
    missing = find_missing(names, passages)
    replaced = match_other_numbers(names, missing, passages)
    lead_meaning = _measure_lead([measure_closeness(one.dense, unrelated) for one in candidates])
    lead_words = _measure_lead([one.keyword for one in candidates])
    agreement = _measure_agreement(candidates)
    features = [MatchFeatures()] * len(best)
    for place, candidate in enumerate(top):
        coverage, in_heading, adjacency = _match_words(words, _head(candidate), candidate.payload["text"])
        features[place] = MatchFeatures(
            closeness=measure_closeness(candidate.dense, unrelated),
            keyword=candidate.keyword,
            coverage=coverage,
            heading=in_heading,
            adjacency=adjacency,
            names=0.0 if replaced else 1 - sum(one.share for one in missing[place]) / max(len(words), len(names), 1),
            lead_meaning=lead_meaning,
            lead_words=lead_words,
            agreement=agreement,
        )
    return features


def _head(candidate: Candidate) -> str:
    payload = candidate.payload
    heading = payload["heading"] or payload["filename"]
    return f"{heading} {payload['name']}" if payload.get("name") else heading


def _match_words(words: Sequence[frozenset[int]], heading: str, text: str) -> tuple[float, float, float]:
    """Return the shares of a question's words that a passage has, and its heading; and of neighbours that it has so."""
    if not words:
        return 0.0, 0.0, 0.0
    first, rest = read_passage(heading), read_passage(text)
    places: dict[int, set[int]] = {}
    for place, term in enumerate([*first, *rest]):
        places.setdefault(term, set()).add(place)
    places_of = [set[int]().union(*(places.get(term, ()) for term in word)) for word in words]
    in_heading = sum(any(place < len(first) for place in one) for one in places_of)
    pairs = list(pairwise(places_of))
    beside = sum(any(not after.isdisjoint(range(at + 1, at + 1 + _REACH)) for at in before) for before, after in pairs)
    adjacency = beside / len(pairs) if pairs else 0.5
    return sum(map(bool, places_of)) / len(words), in_heading / len(words), adjacency


def _measure_lead(scores: Sequence[float]) -> float:
    """Return by how much the best score is above the tenth, or the last of fewer."""
    best = sorted(scores, reverse=True)[:_PLACE]
    return min(max(best[0] - best[-1], 0.0), 1.0) if best else 0.0


def _measure_agreement(candidates: Sequence[Candidate]) -> float:
    """Return 1 where the best by meaning is the best by words, and has some."""
    if not candidates:
        return 0.0
    nearest = max(candidates, key=lambda one: (one.dense, one.id))
    return float(nearest.keyword > 0 and nearest.keyword >= max(one.keyword for one in candidates))
