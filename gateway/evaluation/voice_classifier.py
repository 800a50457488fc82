"""Voices told by character n-grams: one from another by a classifier that is fitted in a moment, and one by itself.

The classifier is a logistic regression over 8,192 hashed 2- to 5-grams of characters, with numpy alone: the gateway's
environment has no scikit-learn, and some hundred texts need none. It knows two voices, and puts a third one somewhere
between them; how alike a text is to those of one voice asks for no other.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["VoiceClassifier", "compare_texts", "score_likeness", "score_voices"]

_BUCKETS = 8192
_SIZES = (2, 3, 4, 5)
_STEPS = 300
_RATE = 4.0
_DECAY = 1e-4
_CHARACTERS = 4000
_DIGITS = 9  # beyond them is what rounding leaves, which would pass for a difference: in every text it has one sign

Vectors = npt.NDArray[np.float64]


class VoiceClassifier:
    """Tells one voice from another; both sets should answer the same questions, else it learns topics."""

    def __init__(self, own: Sequence[str], other: Sequence[str]) -> None:
        features = np.stack([_count_ngrams(text) for text in (*own, *other)])
        labels = np.array([1.0] * len(own) + [0.0] * len(other))
        balance = np.where(labels > 0, 0.5 / len(own), 0.5 / len(other))
        # Weights that begin at nought stay sums of the texts' vectors, so a step needs only the texts' products with
        # each other: some hundred numbers a side in place of 8,192, which makes it a hundred times as fast.
        products = features @ features.T
        shares: Vectors = np.zeros(len(features))
        self._bias = 0.0
        for _ in range(_STEPS):
            error = (_squash(products @ shares + self._bias) - labels) * balance
            shares -= _RATE * (error + _DECAY * shares)
            self._bias -= _RATE * float(error.sum())
        self._weights: Vectors = features.T @ shares

    def score(self, text: str) -> float:
        """Return the probability that a text has the first voice."""
        probability = float(_squash(np.array([_count_ngrams(text) @ self._weights + self._bias]))[0])
        return round(probability, _DIGITS)


def score_voices(
    own: Sequence[str], other: Sequence[str], texts: Mapping[str, Sequence[str]]
) -> dict[str, list[float]]:
    """Return the probability of the first voice for each text.

    All sequences are of the same questions, in one order. Each half of them is judged by a classifier that was fitted
    on the other half, so that no text is judged by one that has seen an answer to its question.

    Raises:
        ValueError: There are fewer than four questions.
    """

    def fit(half: Sequence[int]) -> Callable[[str], float]:
        return VoiceClassifier([own[at] for at in half], [other[at] for at in half]).score

    return _score_by_halves(len(own), texts, fit)


def score_likeness(own: Sequence[str], texts: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    """Return how alike each text is to those of a voice: the mean cosine of their character n-grams.

    The halves are those of `score_voices`: the voice's own texts are measured by others than themselves, too.

    Raises:
        ValueError: There are fewer than four questions.
    """

    def fit(half: Sequence[int]) -> Callable[[str], float]:
        centre: Vectors = np.mean([_count_ngrams(own[at]) for at in half], axis=0)
        return lambda text: round(float(_count_ngrams(text) @ centre), _DIGITS)

    return _score_by_halves(len(own), texts, fit)


def _score_by_halves(
    count: int, texts: Mapping[str, Sequence[str]], fit: Callable[[Sequence[int]], Callable[[str], float]]
) -> dict[str, list[float]]:
    if count < 4:
        raise ValueError("Fewer than four questions can't be halved.")
    halves = [range(0, count, 2), range(1, count, 2)]
    scores: dict[str, list[float]] = {name: [0.0] * count for name in texts}
    for fitted, tested in (halves, halves[::-1]):
        score = fit(fitted)
        for name, some in texts.items():
            for at in tested:
                scores[name][at] = score(some[at])
    return scores


def compare_texts(text: str, other: str) -> float:
    """Return how alike the character n-grams of two texts are: a cosine, from 0 to 1."""
    return float(_count_ngrams(text) @ _count_ngrams(other))


def _squash(values: Vectors) -> Vectors:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))


def _count_ngrams(text: str) -> Vectors:
    """Return the square roots of the n-grams' counts, as a vector of length 1."""
    padded = f" {text[:_CHARACTERS]} "
    buckets = [
        zlib.crc32(padded[at : at + size].encode()) % _BUCKETS
        for size in _SIZES
        for at in range(len(padded) - size + 1)
    ]
    counts = np.sqrt(np.bincount(buckets, minlength=_BUCKETS).astype(np.float64))
    return counts / (float(np.linalg.norm(counts)) or 1.0)
