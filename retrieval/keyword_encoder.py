"""Text → BM25 vectors, by the embedded engine's own stemmers for every index backend.

A vector's indices are hashes of terms, the same in every process. Document frequencies aren't in it: the engine adds
those of the corpus that a search names, so that a point needn't change when others come and go.

A word's term is its stem, by the language of its passage and the script that it is written in. What isn't written with
spaces is cut in pairs of characters. Identifiers (`SQLITE_BUSY`, `sys.path`, `3.11`) are terms as a whole, beside their
parts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import qdrant_edge as edge

from retrieval.backends import KeywordVector
from retrieval.languages import choose_language, count_function_words, find_script_language, guess_languages

__all__ = ["KeywordEncoder", "read_passage", "read_question", "split_words"]

AVERAGE_TOKENS = 100.0
"""Length of a usual chunk in words that count; BM25 weighs a chunk's length against it."""

_SATURATION, _LENGTH_SHARE = 1.2, 0.75
"""BM25's k1 and b."""

_LONGEST = 64
"""Characters of a word; of longer ones, which are data, the beginning."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\U00020000-\U0002fa1f"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese, and Korean, whose words carry their particles."""

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
"""Signs that are part of a word and no letters: of Hebrew, Arabic and the scripts of India, and accents."""

_WORD = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\W_]|[{_MARKS}])+")

_IDENTIFIER = re.compile(
    r"(?<!\w)(?:"
    r"[^\W\d]\w*(?:(?:\.|::|->)\w+)+"  # sys.path, Foo::Bar
    r"|\w*[^\W_]_\w+"  # SQLITE_BUSY
    r"|(?=[\w-]*\d)[^\W_]+(?:-[^\W_]+)+"  # utf-8, K2-Pro
    r"|\d+(?:\.\d+)+"  # 3.11
    r"|[^\W\d_]{1,2}(?:\+\+|#)"  # C++
    r")(?![\w+#])"
)


class KeywordEncoder:
    """Stems words and drops function words, by language. Safe in any thread."""

    identity = "bm25-2"
    """Part of the index's name: vectors of two encoders can't be compared. Change it with anything below."""

    def encode_question(self, text: str) -> KeywordVector:
        """Return the question's terms, each with weight 1; none where it has only function words.

        A few words seldom say their language: their stems in each that they may have are terms, and those that the
        corpus hasn't don't count.
        """
        text = unicodedata.normalize("NFKC", text)
        words = list(split_words(text))
        languages = guess_languages(count_function_words(words))
        terms = [term for language in languages for term in _to_terms(words, language)]
        unique = list(dict.fromkeys([*terms, *_find_identifiers(text)]))
        return KeywordVector(unique, [1.0] * len(unique))

    def encode_passages(self, texts: Sequence[str]) -> list[KeywordVector]:
        """Return the terms of each passage of one document, with BM25's weights, without the frequencies of any corpus.

        Those that don't say their language have the document's.
        """
        normal = [unicodedata.normalize("NFKC", text) for text in texts]
        words = [list(split_words(text)) for text in normal]
        counts = [count_function_words(one) for one in words]
        document = choose_language(sum(counts, Counter[str]()))
        return [
            _weigh(_to_terms(one, choose_language(count, document)), _find_identifiers(text))
            for text, one, count in zip(normal, words, counts, strict=True)
        ]


def read_question(text: str) -> list[frozenset[int]]:
    """Return the terms of each of a question's words that count, in their order: its stems by the likely languages."""
    words = list(split_words(unicodedata.normalize("NFKC", text)))
    languages = guess_languages(count_function_words(words))
    stems = (frozenset(term for language in languages for term in _to_terms([word], language)) for word in words)
    return [one for one in stems if one]


def read_passage(text: str) -> list[int]:
    """Return a passage's terms in their order, by its own language."""
    words = list(split_words(unicodedata.normalize("NFKC", text)))
    return _to_terms(words, choose_language(count_function_words(words)))


def _weigh(terms: Sequence[int], identifiers: Iterable[int]) -> KeywordVector:
    frequencies = Counter(terms)
    frequencies.update(identifiers)
    norm = _SATURATION * (1 - _LENGTH_SHARE + _LENGTH_SHARE * len(terms) / AVERAGE_TOKENS)
    weights = [count * (_SATURATION + 1) / (count + norm) for count in frequencies.values()]
    return KeywordVector(list(frequencies), weights)


def split_words(text: str) -> Iterator[str]:
    """Yield the words in lower case, and pairs of characters of what has no spaces."""
    for match in _WORD.finditer(text):
        word = match[0]
        if match["unspaced"]:
            yield from (word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        else:
            yield word[:_LONGEST].lower()


def _to_terms(words: Iterable[str], language: str) -> list[int]:
    return [term for word in words for term in _stem(word, find_script_language(word) or language)]


def _find_identifiers(text: str) -> list[int]:
    return [_identify(match[0][:_LONGEST].lower()) for match in _IDENTIFIER.finditer(text)]


@lru_cache(maxsize=32)
def _make_analyser(language: str) -> edge.Bm25:
    return edge.Bm25(edge.Bm25Config(language=language))


@lru_cache(maxsize=32_768)
def _stem(word: str, language: str) -> tuple[int, ...]:
    """Return the id of a word's stem; none for a function word."""
    return tuple(_make_analyser(language).embed_query(word).indices)


@lru_cache(maxsize=8_192)
def _identify(word: str) -> int:
    """Return the id of a word as it is: the engine has no stemmer for Japanese."""
    analyser = _make_identifier_analyser()
    return analyser.embed_query(word).indices[0]


@lru_cache(maxsize=1)
def _make_identifier_analyser() -> edge.Bm25:
    return edge.Bm25(edge.Bm25Config(language="japanese", tokenizer=edge.TokenizerType.Whitespace))
