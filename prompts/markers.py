"""Spellings that a base model takes for more than text, and how texts that others wrote are kept free of them.

A tokenizer turns a special token's exact spelling into the token itself, wherever it stands. One space behind the first
character breaks the spelling and leaves the text readable.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

__all__ = ["GENERIC", "Markers", "find_generic"]

_ANGLE = (
    r"/?[\w▁-]{1,40}[|｜]>"  # <turn|>
    r"|/?(?:s|bos|eos|pad|unk|mask|cls|sep|sop|eop|seed:\w{1,30}|SPECIAL_\d{1,5}|tool_(?:call|response)s?)>"
    r"|(?:start|end)_of_\w{1,30}>|(?:extra_id_|unused|reserved|fim_)\w{1,30}>"
    r"|</?SYS>>"
)
_SQUARE = (
    r"\|\w{1,30}\|\]"  # [|user|]
    r"|/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT)|ARGS|CALL_ID|IMG\w{0,10}|THINK)\]"
    r"|(?:PREFIX|MIDDLE|SUFFIX|BOS|EOS|PAD|UNK|CLS|SEP|MASK|gMASK)\]"
)
# The whole of a spelling such as <|im_end|> or DeepSeek's, with full-width bars; of those whose end isn't to be relied
# on, `GENERIC` breaks the beginning already.
_WHOLE = re.compile(rf"<(?:[|｜][^\s<>'\"{{}}]{{1,80}}>|{_ANGLE})|\[(?:{_SQUARE})")


@dataclass(frozen=True, slots=True)
class _Break:
    """A character with which markers begin, where it does so, and what is written there instead."""

    first: str
    pattern: re.Pattern[str]
    replacement: str


@dataclass(frozen=True, slots=True)
class Markers:
    """A set of spellings, compiled once and shared; make it with `of`.

    Attributes:
        breaks: The places to break, by the first character.
        repeats: A spelling has white space in it, so that the space in one may complete another.
    """

    breaks: tuple[_Break, ...]
    repeats: bool = False

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Markers":
        """Compile spellings; white space around one is no part of it, and white space alone is none."""
        spellings = sorted({text.strip() for text in texts} - {""})
        breaks = [_make_break(first, list(group)) for first, group in groupby(spellings, lambda text: text[0])]
        return cls(tuple(breaks), repeats=any(re.search(r"\s", text) for text in spellings))

    def join(self, other: "Markers") -> "Markers":
        """Return the spellings of both."""
        return Markers((*self.breaks, *other.breaks), repeats=self.repeats or other.repeats)

    def neutralise(self, text: str) -> str:
        """Break every spelling in `text`, so that it can't open or close a turn.

        `<|im_end|>` becomes `< |im_end|>`; a space takes the place of a marker that is one character. The result has
        none of the spellings in it, so a second pass changes nothing; text that has none comes back unchanged.
        """
        # Each match is a first character alone, so no place is missed where spellings overlap. What has no white space
        # in it can't come to be by a space. Otherwise the gap behind a first character grows with every round, until
        # it is wider than any in a spelling.
        broken = self._break(text)
        while self.repeats and broken != text:
            text, broken = broken, self._break(broken)
        return broken

    def _break(self, text: str) -> str:
        for one in self.breaks:
            if one.first in text:
                text = one.pattern.sub(one.replacement, text)
        return text


def find_generic(text: str) -> set[str]:
    """Return the spellings in `text` that `GENERIC` breaks."""
    return set(_WHOLE.findall(text))


def _make_break(first: str, spellings: Sequence[str]) -> _Break:
    replacement = first.replace("\\", r"\\")
    if first in spellings:
        return _Break(first, re.compile(re.escape(first)), " ")
    rest = _join([spelling[1:] for spelling in spellings])
    return _Break(first, re.compile(f"{re.escape(first)}(?={rest})"), f"{replacement} ")


def _join(spellings: Sequence[str]) -> str:
    """Return a pattern for the beginning of any of some sorted spellings, with what they share written once.

    Written out one after another, the thousands of tokens that some tokenizers reserve would each be tried at each `<`.
    """
    shortest, longest = spellings[0], spellings[-1]
    shared = next((at for at, pair in enumerate(zip(shortest, longest, strict=False)) if len(set(pair)) > 1), None)
    if shared is None:  # the first is the beginning of all, and to find that is enough
        return re.escape(shortest)
    branches = groupby((spelling[shared:] for spelling in spellings), lambda rest: rest[0])
    return re.escape(shortest[:shared]) + "(?:" + "|".join(_join(list(branch)) for _, branch in branches) + ")"


GENERIC = Markers(
    (
        _Break("<", re.compile(rf"<(?=[|｜][^\s>]|{_ANGLE})"), "< "),
        _Break("[", re.compile(rf"\[(?={_SQUARE})"), "[ "),
    )
)
"""Those of every known family of models: for a base whose own aren't known."""
