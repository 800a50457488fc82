"""The language of words: by their script, and in Latin script by the function words among them.

The engine's analysers drop the function words of their language, so that a word tells which languages have it as one.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import qdrant_edge as edge

__all__ = ["DEFAULT", "LATIN", "choose_language", "count_function_words", "find_script_language", "guess_languages"]

DEFAULT = "english"

LATIN = (
    *("english", "german", "french", "spanish", "italian", "portuguese", "dutch", "danish", "norwegian", "swedish"),
    *("finnish", "hungarian", "romanian", "turkish"),
)
"""Languages in Latin script of which the engine has both a stemmer and function words."""

_SCRIPTS = (
    (re.compile("[\u0370-\u03ff\u1f00-\u1fff]"), "greek"),
    (re.compile("[\u0400-\u052f]"), "russian"),
    (re.compile("[\u0600-\u06ff]"), "arabic"),
)

_LEAST_EVIDENCE = 3
"""Function words in a passage that say its language; fewer are found in names and code as well."""

_MARGIN = 2
"""A passage has another language than its document where it has so many times as many function words of that one."""

_LONGEST = 16
"""Letters of the longest function word."""


def find_script_language(word: str) -> str | None:
    """Return the language whose stemmer a word of another script gets; None for Latin letters and digits."""
    if word.isascii():
        return None
    return next((language for script, language in _SCRIPTS if script.match(word)), None)


def count_function_words(words: Iterable[str]) -> Counter[str]:
    """Count a text's function words, in lower case, per language. Single letters don't count: lists have them too."""
    return Counter(
        language for word in words if 1 < len(word) < _LONGEST and word.isalpha() for language in _find_languages(word)
    )


def choose_language(counts: Counter[str], document: str = DEFAULT) -> str:
    """Return a passage's language by its function words: that of its document, unless it clearly has another."""
    best = max(LATIN, key=lambda language: counts[language])
    clear = counts[best] >= _LEAST_EVIDENCE and counts[best] >= _MARGIN * counts[document]
    return best if clear else document


def guess_languages(counts: Counter[str]) -> list[str]:
    """Return the languages that a question may have by its function words: all of them, where it has hardly any."""
    most = max(counts.values(), default=0)
    return [language for language in LATIN if most < 2 or counts[language] > most / 2]


@lru_cache(maxsize=1)
def _make_analysers() -> dict[str, edge.Bm25]:
    return {language: edge.Bm25(edge.Bm25Config(language=language)) for language in LATIN}


@lru_cache(maxsize=32_768)
def _find_languages(word: str) -> tuple[str, ...]:
    """Return the languages in which a word is a function word."""
    return tuple(language for language, one in _make_analysers().items() if not one.embed_query(word).indices)
