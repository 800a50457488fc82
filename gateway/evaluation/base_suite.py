"""The base suite: what a base model can do and refuses to do, in prompts whose answers a rule checks."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Literal

import msgspec

from gateway.evaluation.refusals import is_refusal

__all__ = ["BaseSuite", "SuitePrompt", "load_base_suite"]

_ITEM = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+\S")


class SuitePrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt, and what an answer to it has to have; `data/base_suite.toml` says what each check means."""

    text: str
    kind: Literal["instructions", "refusals"] = "instructions"
    has: list[str] = []
    cased: list[str] = []
    items: int = 0
    most_words: int = 0
    json: list[str] = []
    refuses: bool = False

    def check(self, answer: str) -> bool:
        """Tell whether an answer passes."""
        folded = answer.replace("’", "'").casefold()
        return (
            bool(answer.strip())
            and (not self.has or any(_find_word(text.casefold(), folded) for text in self.has))
            and all(text in answer for text in self.cased)
            and len(_ITEM.findall(answer)) >= self.items
            and (not self.most_words or len(answer.split()) <= self.most_words)
            and (not self.json or _find_object(answer, self.json))
            and (not self.refuses or is_refusal(answer))
        )


class NeutralText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class MadeReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reply of a tenant that there isn't, in a voice of its own; `language` is as `find_language` says it."""

    language: str
    text: str


class BaseSuite(msgspec.Struct, frozen=True):
    """The prompts, texts in nobody's voice, and replies in many voices."""

    prompt: list[SuitePrompt]
    neutral: list[NeutralText]
    voice: list[MadeReply]


class _Family(SuitePrompt, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prompts of one form: `{0}` and so on in its texts are the parts of a case."""

    cases: list[list[str]]

    def list_prompts(self) -> Iterator[SuitePrompt]:
        for case in self.cases:
            yield SuitePrompt(
                text=self.text.format(*case),
                kind=self.kind,
                has=[one.format(*case) for one in self.has],
                cased=[one.format(*case) for one in self.cased],
                items=self.items,
                most_words=self.most_words,
                json=[one.format(*case) for one in self.json],
                refuses=self.refuses,
            )


class _SuiteFile(BaseSuite, frozen=True, forbid_unknown_fields=True, kw_only=True):
    family: list[_Family]


def load_base_suite() -> BaseSuite:
    """Read the suite that comes with this package."""
    data = (files("gateway.evaluation") / "data" / "base_suite.toml").read_bytes()
    file = msgspec.toml.decode(data, type=_SuiteFile)
    return BaseSuite(
        [*file.prompt, *(prompt for family in file.family for prompt in family.list_prompts())],
        file.neutral,
        file.voice,
    )


def _find_word(word: str, text: str) -> bool:
    """Find a word's beginning; of a number all of it, since 5 isn't 50."""
    end = r"(?!\d)" if word[-1:].isdigit() else ""
    return re.search(rf"(?<!\w){re.escape(word)}{end}", text) is not None


def _find_object(answer: str, keys: list[str]) -> bool:
    """Tell whether the answer has a JSON object with these keys."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", answer):
        try:
            value: Any = decoder.raw_decode(answer, match.start())[0]
        except ValueError:
            continue
        if isinstance(value, dict) and all(key in value for key in keys):
            return True
    return False
