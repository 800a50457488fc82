"""Scores of how alike two texts are, from 0 to 1, by the measures that OpenAI's `text_similarity` names.

Words are runs of letters and digits in lower case. ROUGE is the F-measure of Lin (2004), without stems. BLEU is that of
Papineni et al. (2002) of one sentence, over the orders that the input has: the first one without a match counts half a
match, and each further one half of that (Lin and Och). GLEU is that of Wu et al. (2016).
"""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import exp, hypot, log

from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

__all__ = ["MEASURES", "compute_cosine"]

_ORDERS = 4
_MOST_WORDS = 20_000
_WORD = re.compile(r"[^\W_]+")

Words = Sequence[str]
NGrams = Counter[tuple[str, ...]]


def compute_cosine(one: bytes, other: bytes) -> float:
    """Return the cosine of two vectors of 32-bit floats, as the retriever gives them."""
    a, b = array("f", one), array("f", other)
    lengths = hypot(*a) * hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def _fuzzy(text: str, reference: str) -> float:
    return fuzz.ratio(text, reference) / 100


def _bleu(text: str, reference: str) -> float:
    words, reference_words = _words(text), _words(reference)
    if not words or not reference_words:
        return float(words == reference_words)
    logs: list[float] = []
    smoothing = 1.0
    for order in range(1, min(_ORDERS, len(words)) + 1):
        there = _ngrams(words, order)
        matches = (there & _ngrams(reference_words, order)).total()
        if not matches:
            smoothing /= 2
        logs.append(log((matches or smoothing) / there.total()))
    brevity = min(1.0, exp(1 - len(reference_words) / len(words)))
    return brevity * exp(sum(logs) / len(logs)) if any(word in set(reference_words) for word in words) else 0.0


def _gleu(text: str, reference: str) -> float:
    words, reference_words = _words(text), _words(reference)
    matches = total = total_expected = 0
    for order in range(1, _ORDERS + 1):
        there, others = _ngrams(words, order), _ngrams(reference_words, order)
        matches += (there & others).total()
        total += there.total()
        total_expected += others.total()
    return matches / max(total, total_expected) if max(total, total_expected) else 1.0


def _rouge(order: int) -> Callable[[str, str], float]:
    def measure(text: str, reference: str) -> float:
        there, reference_ngrams = _ngrams(_words(text), order), _ngrams(_words(reference), order)
        return _f_measure((there & reference_ngrams).total(), there.total(), reference_ngrams.total())

    return measure


def _rouge_l(text: str, reference: str) -> float:
    words, reference_words = _words(text), _words(reference)
    return _f_measure(LCSseq.similarity(words, reference_words), len(words), len(reference_words))


def _f_measure(matches: int, total: int, reference_total: int) -> float:
    return 2 * matches / (total + reference_total) if matches else 0.0


def _words(text: str) -> Words:
    return _WORD.findall(text.lower())[:_MOST_WORDS]


def _ngrams(words: Words, order: int) -> NGrams:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


MEASURES: Mapping[str, Callable[[str, str], float]] = {
    "fuzzy_match": _fuzzy,
    "bleu": _bleu,
    "gleu": _gleu,
    **{f"rouge_{order}": _rouge(order) for order in range(1, 6)},
    "rouge_l": _rouge_l,
}
