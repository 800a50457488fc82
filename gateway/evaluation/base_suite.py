"""The base suite: what a base model can do and refuses to do, in prompts whose answers a rule checks."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any, Literal

import msgspec

from gateway.evaluation.number_words import NUMBER_WORDS, read_words
from gateway.evaluation.refusals import is_refusal

__all__ = ["FIRST_PROMPTS", "MOST_PROMPTS", "BaseSuite", "SuitePrompt", "identify_prompts", "load_base_suite"]

FIRST_PROMPTS = 196
"""The prompts of the suite that are asked first: those that it had alone once, of every kind."""
MOST_PROMPTS = 3000
"""All of them."""
_IN_WORDS = re.compile(NUMBER_WORDS)
_ITEM = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+\S")


class SuitePrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A prompt, and what an answer to it has to have; `data/base_suite.toml` says what each check means."""

    text: str
    kind: Literal["instructions", "refusals"] = "instructions"
    has: list[str] = []
    every: list[str] = []
    number: str = ""
    cased: list[str] = []
    begins: str = ""
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
            and all(_find_word(text.casefold(), folded) for text in self.every)
            and (not self.number or _says_number(self.number, answer))
            and all(text in answer for text in self.cased)
            and (not self.begins or _begins_sentence(self.begins.casefold(), folded))
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
    """The prompts in the order in which they are asked, texts in nobody's voice, and replies in many voices."""

    prompt: list[SuitePrompt]
    neutral: list[NeutralText]
    voice: list[MadeReply]


class _Family(SuitePrompt, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prompts of one form: each of its texts for each case with each entry of each axis.

    `{0}` and so on in its texts are the parts of a case, and behind these the entries of the axes; see `_name_parts`.
    """

    text: str = ""
    texts: list[str] = []
    cases: list[list[str]] = []
    axes: list[list[str]] = []

    def list_prompts(self) -> Iterator[SuitePrompt]:
        for text, case, entries in product(self.texts or [self.text], self.cases or [[]], product(*self.axes)):
            parts = [*case, *entries]
            names = _name_parts(parts)

            def fill(texts: Iterable[str], parts: list[str] = parts, names: dict[str, str] = names) -> list[str]:
                return [one.format(*parts, **names) for one in texts]

            yield SuitePrompt(
                text=text.format(*parts, **names),
                kind=self.kind,
                has=[one for one in fill(self.has) if one],
                every=fill(self.every),
                number=self.number.format(*parts, **names),
                cased=fill(self.cased),
                begins=self.begins.format(*parts, **names),
                items=self.items,
                most_words=self.most_words,
                json=fill(self.json),
                refuses=self.refuses,
            )


class _SuiteFile(BaseSuite, frozen=True, forbid_unknown_fields=True, kw_only=True):
    family: list[_Family]


class _FurtherFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: list[_Family]


@cache
def load_base_suite() -> BaseSuite:
    """Read the suite that comes with this package: its first prompts, and then further ones of all families."""
    data = files("gateway.evaluation") / "data"
    file = msgspec.toml.decode((data / "base_suite.toml").read_bytes(), type=_SuiteFile)
    further = msgspec.toml.decode((data / "base_suite_further.toml").read_bytes(), type=_FurtherFile)
    return BaseSuite(
        [*file.prompt, *_list_prompts(file.family), *_mix(_list_prompts(further.family))], file.neutral, file.voice
    )


def identify_prompts(prompts: Iterable[SuitePrompt]) -> str:
    """Return a name for prompts with their checks: figures over others aren't comparable.

    Checks that a prompt hasn't are no part of it, so that a further kind of check renames nothing.
    """
    return hashlib.sha256(msgspec.json.encode(list(prompts))).hexdigest()[:12]


def _list_prompts(families: Iterable[_Family]) -> list[SuitePrompt]:
    return [prompt for family in families for prompt in family.list_prompts()]


def _mix(prompts: Iterable[SuitePrompt]) -> list[SuitePrompt]:
    """Put prompts in an order in which the first of them, however many, are of all families and kinds."""
    return sorted(prompts, key=lambda prompt: hashlib.sha256(prompt.text.encode()).digest())


def _name_parts(parts: list[str]) -> dict[str, str]:
    """Return what is worked out of the parts of a case: of the first in capitals, of two numbers their sum and so on.

    `second` to `fifth` are the numbers behind the first part where each is larger by the second one.
    """
    names = {"capitals": parts[0].upper()} if parts else {}
    numbers = [int(part) for part in parts if part.isdigit()]
    if len(numbers) < 2:
        return names
    one, other = numbers[:2]
    series = {name: one + other * steps for steps, name in enumerate(("second", "third", "fourth", "fifth"), 1)}
    worked_out = {"sum": one + other, "difference": one - other, "product": one * other, **series}
    return names | {name: str(number) for name, number in worked_out.items()}


def _find_word(word: str, text: str) -> bool:
    """Find a word's beginning; of a number all of it, since 5 isn't 50."""
    end = r"(?!\d)" if word[-1:].isdigit() else ""
    return re.search(rf"(?<!\w){re.escape(word)}{end}", text) is not None


def _says_number(number: str, answer: str) -> bool:
    """Tell whether an answer says a number, in digits or in English words."""
    return _find_word(number, answer) or int(number) in map(read_words, _IN_WORDS.findall(answer.casefold()))


def _begins_sentence(word: str, text: str) -> bool:
    """Tell whether a line or a sentence begins with a word: a greeting may stand before it."""
    return re.search(rf"(?m)(?:^|[.!?:]\s)[\s\"'*-]*{re.escape(word)}(?!\w)", text) is not None


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
