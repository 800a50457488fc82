"""Clusters of failures by their words: TF-IDF vectors of question and reason, joined by average linkage.

Only failures of one strand come together. With numpy alone: the gateway's environment has no scikit-learn, and a few
hundred short texts need none.
"""

import re
from collections import Counter
from collections.abc import Sequence
from math import log

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.conversations.languages import is_function_word
from gateway.diagnoses.cases import Strand

__all__ = ["Cluster", "ClusterMember", "make_clusters"]

_LEAST_LIKENESS = 0.2
"""The mean cosine between two clusters, for them to be joined."""
_WORDS = 6
_EXAMPLES = 3
_WORD = re.compile(r"[^\W\d_]{2,}|\d+")

Matrix = npt.NDArray[np.float64]


class ClusterMember(msgspec.Struct, frozen=True):
    """A failure as it is clustered: `reason` is its own words, `cause` the attribution's code."""

    id: str
    strand: Strand
    cause: str
    question: str
    reason: str


class Cluster(msgspec.Struct, frozen=True):
    """Failures of one strand that are alike.

    Attributes:
        words: Those that tell it from the other failures, the strongest first.
        causes: Of its failures, the most frequent first.
        cases: Their ids.
        examples: Questions of those nearest to its middle.
    """

    strand: Strand
    size: int
    words: list[str]
    causes: dict[str, int]
    cases: list[str]
    examples: list[str]


def make_clusters(members: Sequence[ClusterMember]) -> list[Cluster]:
    """Cluster failures, the largest cluster first; each is in one."""
    if not members:
        return []
    vectors, words = _make_vectors([f"{one.question}\n{one.cause}\n{one.reason}" for one in members])
    likeness = vectors @ vectors.T
    clusters: list[Cluster] = []
    for strand in dict.fromkeys(one.strand for one in members):
        places = [at for at, one in enumerate(members) if one.strand == strand]
        clusters += [_describe(members, group, vectors, words) for group in _join(places, likeness)]
    return sorted(clusters, key=lambda one: -one.size)


def _make_vectors(texts: Sequence[str]) -> tuple[Matrix, list[str]]:
    """Return a vector of length 1 per text, and the words of its dimensions; a text without words is 0."""
    bags = [Counter(_read_words(text)) for text in texts]
    shares = Counter(word for bag in bags for word in bag)
    words = sorted(shares)
    places = {word: at for at, word in enumerate(words)}
    vectors: Matrix = np.zeros((len(texts), max(1, len(words))))
    for row, bag in enumerate(bags):
        for word, count in bag.items():
            vectors[row, places[word]] = (1 + log(count)) * (log((1 + len(texts)) / (1 + shares[word])) + 1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), words


def _join(places: Sequence[int], likeness: Matrix) -> list[list[int]]:
    """Join the two most alike groups again and again, until none are alike enough."""
    groups = [[place] for place in places]
    means = likeness[np.ix_(places, places)].copy()
    np.fill_diagonal(means, -1.0)
    while len(groups) > 1:
        one, other = sorted(int(at) for at in np.unravel_index(int(means.argmax()), means.shape))
        if means[one, other] < _LEAST_LIKENESS:
            break
        sizes = len(groups[one]), len(groups[other])
        merged = (means[one] * sizes[0] + means[other] * sizes[1]) / sum(sizes)
        means[one], means[:, one] = merged, merged
        means[one, one] = -1.0
        means = np.delete(np.delete(means, other, axis=0), other, axis=1)
        groups[one] += groups.pop(other)
    return groups


def _describe(members: Sequence[ClusterMember], group: list[int], vectors: Matrix, words: list[str]) -> Cluster:
    middle = vectors[group].mean(axis=0)
    others = np.setdiff1d(np.arange(len(members)), group)
    contrast = middle - (vectors[others].mean(axis=0) if len(others) else 0.0)
    order = sorted(range(len(words)), key=lambda at: -float(contrast[at]))
    strongest = [words[at] for at in order[:_WORDS] if contrast[at] > 0]
    nearest = sorted(group, key=lambda at: -float(vectors[at] @ middle))
    return Cluster(
        strand=members[group[0]].strand,
        size=len(group),
        words=strongest,
        causes=dict(Counter(members[at].cause for at in group).most_common()),
        cases=[members[at].id for at in group],
        examples=list(dict.fromkeys(members[at].question for at in nearest))[:_EXAMPLES],
    )


def _read_words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.casefold()) if not is_function_word(word)]
