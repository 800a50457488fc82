"""How often a turn's kind is told right: `python -m tests.bench.retrieval.turn_kinds`; seconds.

Follow-ups are those of the set `turns`, and some of each language written for this; questions of their own are the
headings of FAQs, each after the one before it on its page, in eight languages, some of which do lean on that one; small
talk is the corpus of ChatterBot, and thanks and goodbyes written for this. The rules were tuned on one half of each.
"""

import html
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from gateway.answering.question import Message
from gateway.answering.turn import TurnClassifier, load_turn_classifier
from gateway.evaluation import Estimate, estimate_share
from gateway.evaluation.labels import find_half
from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.markup import read_html
from tests.bench.retrieval.sources import find_text, list_files, unpack_wheel
from tests.bench.retrieval.turns import make_turns

__all__ = ["LabelledTurn", "list_turns", "main"]

Kind = Literal["question", "follow_up", "small_talk"]

_WRITTEN = Path(__file__).parent / "data" / "turns.toml"
_FAQ_LANGUAGES = ("de", "fr", "it", "nl", "pt", "ja", "zh-cn")
_CORPORA = {
    **{"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt"},
    **{"dutch": "nl", "japanese": "ja", "chinese": "zh"},
}


class _WrittenTurns(msgspec.Struct, frozen=True):
    """Turns of one language, written for this: follow-ups to `opening`, and small talk behind it."""

    opening: str
    follow_ups: list[str]
    small_talk: list[str]


@dataclass(frozen=True, slots=True)
class LabelledTurn:
    """A user's message, what was said before it, and its kind; `language` is only there to be counted by."""

    text: str
    earlier: Sequence[Message]
    kind: Kind
    language: str

    @property
    def half(self) -> str:
        return find_half(self.text)


def list_turns() -> list[LabelledTurn]:
    """List every labelled turn, once."""
    turns = [*_follow_ups(), *_questions(), *_small_talk()]
    return list({(turn.text, turn.kind): turn for turn in turns}.values())


def _after(*texts: str) -> list[Message]:
    """Return a conversation of these questions, each answered by a sentence that says nothing."""
    return [message for text in texts for message in (Message("user", text), Message("assistant", "Here it is. [1]"))]


def _follow_ups() -> Iterator[LabelledTurn]:
    for question in make_turns().questions:
        yield LabelledTurn(question.text, _after(*question.history), "follow_up", "en")
    for language, written in _read_written().items():
        for text in written.follow_ups:
            yield LabelledTurn(text, _after(written.opening), "follow_up", language)


def _questions() -> Iterator[LabelledTurn]:
    before = ""
    for question in read_faq().questions:
        yield LabelledTurn(question.text, _after(before) if before else [], "question", "en")
        before = question.text
    for language in _FAQ_LANGUAGES:
        before = ""
        for file in list_files(f"doc/debian/FAQ/{language}/*.html"):
            for heading in re.findall(r'<h[23] class="title"[^>]*>(.*?)</h[23]>', find_text(file), re.DOTALL):
                text = " ".join(re.sub(r"^[\d.\s]+", "", read_html(html.unescape(heading))).split())
                if text.endswith(("?", "？")):
                    yield LabelledTurn(text, _after(before) if before else [], "question", language[:2])
                    before = text


def _small_talk() -> Iterator[LabelledTurn]:
    folder = unpack_wheel("chatterbot-corpus", "1.3.3") / "chatterbot_corpus" / "data"
    for name, language in _CORPORA.items():
        lines = (folder / name / "greetings.yml").read_text(encoding="utf-8").partition("conversations:")[2]
        for text in re.findall(r"^\s*-\s+(?:-\s+)?(.+)$", lines, re.MULTILINE):
            yield LabelledTurn(text.strip().strip("'\""), _after("K2?"), "small_talk", language)
    for language, written in _read_written().items():
        for text in written.small_talk:
            yield LabelledTurn(text, _after(written.opening), "small_talk", language)


def _read_written() -> dict[str, _WrittenTurns]:
    return msgspec.toml.decode(_WRITTEN.read_bytes(), type=dict[str, _WrittenTurns])


def print_table(turns: Sequence[LabelledTurn], classifier: TurnClassifier) -> None:
    """Print, as Markdown, how many of each kind are told right in either half, and what the others are taken for."""
    print("| kind | half | turns | right (95 % interval) | taken for |")
    print("|---|---|---|---|---|")
    for kind in ("question", "follow_up", "small_talk"):
        for half in ("tune", "report"):
            chosen = [turn for turn in turns if turn.kind == kind and turn.half == half]
            told = [classifier.classify(turn.text, turn.earlier).kind for turn in chosen]
            right = estimate_share([one == kind for one in told])
            wrong = ", ".join(f"{other}: {told.count(other)}" for other in sorted({*told} - {kind})) or "–"
            print(
                f"| {kind} | {half} | {len(chosen)} | {right.value:.3f} ({right.low:.3f}–{right.high:.3f}) | {wrong} |"
            )


def _format(figure: Estimate) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"


def main() -> None:
    turns, classifier = list_turns(), load_turn_classifier()
    print_table(turns, classifier)
    print()
    for language in sorted({turn.language for turn in turns}):
        chosen = [turn for turn in turns if turn.language == language and turn.half == "report"]
        right = estimate_share([classifier.classify(turn.text, turn.earlier).kind == turn.kind for turn in chosen])
        print(f"{language}: {_format(right)} of {len(chosen)}")
    started = time.process_time()
    for turn in turns:
        classifier.classify(turn.text, turn.earlier)
    print(f"{(time.process_time() - started) / len(turns) * 1e6:.0f} µs per turn")


if __name__ == "__main__":
    main()
