"""The words by which a turn is told apart, by language; they are data (`data/turn_words.toml`)."""

from importlib.resources import files

import msgspec

__all__ = ["SpacedWords", "TurnWords", "UnspacedWords", "load_turn_words"]


class SpacedWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language's words; those with several are sequences of words.

    Attributes:
        talk: A sentence of these and `filler` alone is small talk.
        filler: Words that small talk has beside them, and questions too.
        courtesies: Questions that are small talk.
        consent: Answers to a question that was asked back.
        pointers: Words that stand for something that was named before; those with `$`, at a sentence's end only.
        owners: The same of possession: they may stand for what their own clause names.
        idioms: Where such a word points to nothing.
        openings: How a sentence begins that goes on with an earlier one.
        questions: How a question begins.
        clauses: How a clause begins behind another one.
    """

    talk: frozenset[str]
    filler: frozenset[str]
    courtesies: frozenset[str]
    consent: frozenset[str]
    pointers: frozenset[str]
    owners: frozenset[str]
    idioms: list[str]
    openings: list[str]
    questions: frozenset[str]
    clauses: frozenset[str]


class UnspacedWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same for a language without spaces between words: all but `consent` are pieces of a text."""

    talk: list[str]
    consent: frozenset[str]
    pointers: list[str]
    openings: list[str]


class TurnWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All languages' words, by the language's code."""

    spaced: dict[str, SpacedWords]
    unspaced: dict[str, UnspacedWords]


def load_turn_words() -> TurnWords:
    """Read the words that come with this package, once per process."""
    data = (files("gateway.answering") / "data" / "turn_words.toml").read_bytes()
    return msgspec.toml.decode(data, type=TurnWords)
