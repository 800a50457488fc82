"""The kind of a turn: a question of its own, one that needs the turns before it, or small talk.

Rules over words, without a model: a fraction of a millisecond for a turn. `docs/benchmarks/retrieval.md` has how often
they are right.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal

import msgspec

from gateway.answering.question import Message
from gateway.answering.turn_words import SpacedWords, TurnWords, load_turn_words

__all__ = ["Turn", "TurnClassifier", "list_earlier", "load_turn_classifier"]

TurnKind = Literal["question", "follow_up", "small_talk"]

_STOPS = ".!?…\n。！？"
_ASKING = "?？"
_SENTENCE = re.compile(rf"([^{_STOPS}]+)([{_STOPS}]*)")
_TOKEN = re.compile(r"[\w']+(?:-[\w']+)*|[,;:()]")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LONGEST_TALK = 160
_FEW_CHARACTERS = 5  # of a text without spaces that says no more than "and that?"
_NEAR_CHARACTERS = 6  # before a pointer in such a text, which then stands for nothing in it


class Turn(msgspec.Struct, frozen=True):
    """A turn's kind, and the rule that decided.

    Rules of small talk are `words`, `courtesy` and `no_words`; of a question of its own `first` (nothing was asked
    before) and `complete`; of one that needs the turns before it `consent` (the answer to a question that was asked
    back), `opening`, `pointer` and `short`.
    """

    kind: TurnKind
    rule: str


def list_earlier(messages: Sequence[Message]) -> Sequence[Message]:
    """List what users and assistants said before the last user message, oldest first."""
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    return [message for message in messages[:last] if message.role in ("user", "assistant") and message.content]


class TurnClassifier:
    """Tells the kind of a turn by the words of all languages that it has."""

    def __init__(self, words: TurnWords) -> None:
        self._spaced = {code: _Language(one) for code, one in words.spaced.items()}
        self._unspaced = words.unspaced
        self._unspaced_talk = {code: _compile_pieces(one.talk) for code, one in words.unspaced.items()}
        self._talk_words = frozenset[str]().union(*(language.talk_words for language in self._spaced.values()))

    def classify(self, text: str, earlier: Sequence[Message]) -> Turn:
        """Tell the kind of a user's message after what was said before it, oldest first."""
        text = text.strip()
        if text and not any(character.isalnum() for character in text):
            return Turn("small_talk", "no_words")
        if _asks_back(earlier) and self._consents(text):
            return Turn("follow_up", "consent")
        if rule := self._find_talk(text):
            return Turn("small_talk", rule)
        if not any(message.role == "user" for message in earlier):
            return Turn("question", "first")
        rule = self._point_back_unspaced(text) if _UNSPACED.search(text) else self._point_back(text, earlier)
        return Turn("follow_up", rule) if rule else Turn("question", "complete")

    def _consents(self, text: str) -> bool:
        words = {token for token in _tokens(text) if token not in ",;:()"}
        if any(words <= language.consent for language in self._spaced.values()):
            return True
        return any(text.strip(_STOPS + " ") in language.consent for language in self._unspaced.values())

    def _find_talk(self, text: str) -> str:
        """Return the rule by which every sentence of a text is small talk; "" where one isn't."""
        if len(text) > _LONGEST_TALK:
            return ""
        rules = {self._find_talk_rule(sentence, mark) for sentence, mark in _sentences(text)}
        if not rules or "" in rules:
            return ""
        return "words" if "words" in rules else "courtesy"

    def _find_talk_rule(self, sentence: str, mark: str) -> str:
        if _UNSPACED.search(sentence):
            return "words" if any(_consists_of(sentence, one) for one in self._unspaced_talk.values()) else ""
        words = [token for token in _tokens(sentence) if token not in ",;:()"]
        if not self._talk_words.issuperset(words):
            return ""  # most questions end here
        asks = any(sign in mark for sign in _ASKING)
        for language in self._spaced.values():
            if language.is_courtesy(words):
                return "courtesy"
            if not asks and language.is_talk(words):
                return "words"
        return ""

    def _point_back(self, text: str, earlier: Sequence[Message]) -> str:
        tokens = _tokens(text)
        before = next((message.content or "" for message in reversed(earlier) if message.role == "user"), "")
        words_before = _tokens(before[:_LONGEST_TALK])  # tells the language of a short text, too

        def count_known(one: _Language) -> int:
            return 2 * len(one.vocabulary.intersection(tokens)) + len(one.vocabulary.intersection(words_before))

        language = max(self._spaced.values(), key=count_known)
        words = [token for token in tokens if token not in ",;:()"]
        if set(words) <= language.consent:
            return "consent"
        if any(words[: len(opening)] == opening for opening in language.openings):
            return "opening"
        if language.is_short(words):
            return "short"
        return "pointer" if language.points_back(text) else ""

    def _point_back_unspaced(self, text: str) -> str:
        plain = text.strip(_STOPS + " ")
        for language in self._unspaced.values():
            if plain in language.consent:
                return "consent"
            if any(plain.startswith(opening) for opening in language.openings):
                return "opening"
            if any(0 <= plain.find(pointer) <= _NEAR_CHARACTERS for pointer in language.pointers):
                return "pointer"
        return "short" if sum(character.isalnum() for character in plain) <= _FEW_CHARACTERS else ""


@cache
def load_turn_classifier() -> TurnClassifier:
    """Return the classifier by the packaged words, which are prepared once per process."""
    return TurnClassifier(load_turn_words())


class _Language:
    """One language's words, prepared."""

    def __init__(self, words: SpacedWords) -> None:
        def fold(entries: frozenset[str]) -> frozenset[str]:
            return frozenset(map(_fold, entries))

        self.talk, self.consent, self.questions = fold(words.talk), fold(words.consent), fold(words.questions)
        self.clauses = fold(words.clauses) | frozenset(",;:()")
        self.courtesies = fold(words.courtesies)
        self.openings = [_fold(opening).split() for opening in words.openings]
        self._small = self.talk | fold(words.filler)
        self.talk_words = self._small.union(*(courtesy.split() for courtesy in self.courtesies))
        self._pointers, self._owners = fold(words.pointers), fold(words.owners)
        idioms = "|".join(re.escape(_fold(idiom)) for idiom in sorted(words.idioms, key=len, reverse=True))
        self._idioms = re.compile(rf"(?<![\w'])(?:{idioms})(?![\w'])", re.IGNORECASE)
        phrases = (*words.idioms, *words.openings, *words.courtesies)
        inside = frozenset(word for phrase in phrases for word in _fold(phrase).split())
        self.vocabulary = (
            self._small | self._pointers | self._owners | self.questions | self.consent | self.clauses | inside
        )

    def is_talk(self, words: Sequence[str]) -> bool:
        """Tell whether words that aren't a question are small talk."""
        if words[0] in self.questions:
            return False
        return any(word in self.talk for word in words) and all(word in self._small for word in words)

    def is_courtesy(self, words: Sequence[str]) -> bool:
        """Tell whether words are a courtesy; a greeting may stand before it."""
        while words:
            if " ".join(words) in self.courtesies:
                return True
            if words[0] not in self.talk:
                return False
            words = words[1:]
        return False

    def is_short(self, words: Sequence[str]) -> bool:
        """Tell whether words say nothing of a topic, or are no more than one."""
        if all(word in self.vocabulary for word in words):
            return True
        return len(words) == 1

    def points_back(self, text: str) -> bool:
        """Tell whether a word stands for something that isn't named before it in the text.

        A pronoun stands for nothing in its own clause, so that one in the first clause points back; in a later one it
        may stand for whatever was named before it.
        """
        first, name_count = True, 0
        for sentence, _mark in _sentences(self._idioms.sub(lambda match: match[0].replace(" ", "_"), _plain(text))):
            tokens = _TOKEN.findall(sentence)
            for at, token in enumerate(tokens):
                word, last = token.lower(), at == len(tokens) - 1
                if at > 1 and not last and not self.clauses.isdisjoint(word.split("_")):
                    first = False
                free = word in self._pointers or (last and f"{word}$" in self._pointers)
                # A capital inside a sentence: a name, or polite address in German.
                if token == word or not at:
                    if (free and (first or not name_count)) or (word in self._owners and not name_count):
                        return True
                name_count += word not in self.vocabulary and "_" not in word
            first = False
        return False


def _asks_back(earlier: Sequence[Message]) -> bool:
    return (
        bool(earlier)
        and earlier[-1].role == "assistant"
        and (earlier[-1].content or "").rstrip()[-1:] in tuple(_ASKING)
    )


def _plain(text: str) -> str:
    """Return a text with one spelling of each letter, and plain apostrophes."""
    return unicodedata.normalize("NFKC", text).replace("’", "'")


def _fold(text: str) -> str:
    return _plain(text).lower()


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_fold(text))


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sentences that have words, and the marks behind each."""
    for match in _SENTENCE.finditer(text):
        if any(character.isalnum() for character in match[1]):
            yield match[1].strip(), match[2]


def _compile_pieces(pieces: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(pieces, key=len, reverse=True))))


def _consists_of(text: str, pieces: re.Pattern[str]) -> bool:
    """Tell whether a text is nothing but pieces and what is between them."""
    return not any(character.isalnum() for character in pieces.sub("", text))
