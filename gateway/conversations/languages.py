"""The language of a text, by the rule that keyword search has: its script, else the function words in it.

The search engine's own lists are in the retriever's process; the most usual words of them are data here
(`data/function_words.toml`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec

__all__ = ["find_language", "is_function_word", "load_function_words"]


_SCRIPTS = (
    (re.compile("[\u0370-\u03ff\u1f00-\u1fff]"), "greek"),
    (re.compile("[\u0400-\u052f]"), "russian"),
    (re.compile("[\u0600-\u06ff]"), "arabic"),
    (re.compile("[\u3041-\u30ff]"), "japanese"),
    (re.compile("[\uac00-\ud7af]"), "korean"),
    (re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"), "chinese"),
)
"""Japanese stands before Chinese, whose characters it has too."""

_LEAST_EVIDENCE = 3
_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=1)
def load_function_words() -> Mapping[str, frozenset[str]]:
    """Return the function words of each language."""
    data = files("gateway.conversations").joinpath("data", "function_words.toml").read_bytes()
    return {
        language: frozenset(words.split()) for language, words in msgspec.toml.decode(data, type=dict[str, str]).items()
    }


@lru_cache(maxsize=1)
def _load_languages() -> Mapping[str, Sequence[str]]:
    """Return the languages of each function word: texts are read word by word."""
    languages: defaultdict[str, list[str]] = defaultdict(list)
    for language, words in load_function_words().items():
        for word in words:
            languages[word].append(language)
    return languages


def find_language(text: str) -> str | None:
    """Return a text's language; None where too little of it tells, as in a few words or in code."""
    letters = sum(map(str.isalpha, text))
    for script, language in _SCRIPTS:
        if len(script.findall(text)) * 4 > letters:
            return language
    counts = Counter(_name_languages(text.casefold()))
    ranked = counts.most_common(2)
    if not ranked or ranked[0][1] < _LEAST_EVIDENCE:
        return None
    return None if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def is_function_word(word: str) -> bool:
    """Tell whether a word, in lower case, is a function word in some language."""
    return word in _load_languages()


def _name_languages(text: str) -> Iterator[str]:
    languages = _load_languages()
    for word in _WORD.findall(text):
        yield from languages.get(word, ())
