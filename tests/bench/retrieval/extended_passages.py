"""Chunks around passages: `python -m tests.bench.retrieval.extended_passages [--sets …] [--embedders …]`.

The five passages that a release shows by its defaults, extended by their neighbours or by their sections, and, for as
much text, the next passages instead. Reads the runs of `python -m tests.bench.retrieval`; figures are of the report
halves.
"""

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import cast

import msgspec

from gateway.answering.neighbours import extend_passages
from gateway.answering.ranking import RankedPassage, arrange
from gateway.assistants.release import RetrievalSpec
from gateway.evaluation.estimate import estimate_mean_difference
from gateway.evaluation.label_sets import read_questions
from gateway.vector_stores.search import StoreStates
from retrieval.answer_probability import JUDGED_PASSAGES
from retrieval.client import Retriever
from retrieval.messages import ContentRequest, Passage, TextPiece
from tests.bench.retrieval.runs import Run, run_file
from tests.bench.retrieval.sets import SETS
from tests.bench.retrieval.shown_passages import to_passages
from tests.bench.retrieval.sources import CACHE

__all__ = ["EXTENSIONS", "IndexedTexts", "extend", "take_as_much"]

_PLAIN = RetrievalSpec((), top_k=JUDGED_PASSAGES)
EXTENSIONS = {
    "five": _PLAIN,
    "five, with neighbours": msgspec.structs.replace(_PLAIN, expand="neighbours"),
    "five, with their sections": msgspec.structs.replace(_PLAIN, expand="section"),
}
_STATES = StoreStates({"": 0})


class IndexedTexts:
    """The documents' chunks of a run, as a retriever reads them."""

    def __init__(self, run: Run) -> None:
        self._pieces: dict[str, list[TextPiece]] = defaultdict(list)
        for chunk in run.texts:
            end = chunk.start + len(chunk.text)
            self._pieces[chunk.document].append(TextPiece(chunk.start, end, chunk.text, chunk.heading))

    async def read_content(self, request: ContentRequest) -> list[TextPiece]:
        assert request.end is not None
        pieces = sorted(self._pieces[request.document], key=lambda piece: piece.start)
        return [piece for piece in pieces if piece.start >= request.start and piece.end <= request.end]


async def extend(texts: IndexedTexts, spec: RetrievalSpec, passages: Sequence[Passage]) -> list[RankedPassage]:
    hits = arrange(passages[: spec.top_k], spec, 0.0)
    return await extend_passages(cast(Retriever, texts), "", spec, _STATES, hits)


def take_as_much(passages: Sequence[Passage], characters: int) -> list[RankedPassage]:
    """Return the best passages, at least five, whose texts together have at most so many characters."""
    count = JUDGED_PASSAGES
    size = sum(len(passage.text) for passage in passages[:count])
    while count < len(passages) and size + len(passages[count].text) <= characters:
        size += len(passages[count].text)
        count += 1
    return [RankedPassage(passage) for passage in passages[:count]]


def _count_characters(shown: Sequence[RankedPassage]) -> int:
    return sum(len(one.passage.text) for one in shown)


def _share(shown: Sequence[RankedPassage], expected: Sequence[str], lengths: dict[str, int]) -> float:
    """Return the share of an answering document's text that is shown: of the one of which most is."""
    texts = dict.fromkeys(expected, 0)
    for one in shown:
        if one.passage.document in texts:
            texts[one.passage.document] += len(one.passage.text)
    return max((min(text / lengths[document], 1.0) for document, text in texts.items()), default=0.0)


async def _measure_set(name: str, run: Run) -> dict[str, list[tuple[float, int]]]:
    """Return the share of each question's answering text and the characters shown, by what extends the passages."""
    lengths: dict[str, int] = defaultdict(int)
    for chunk in run.texts:
        lengths[chunk.document] += len(chunk.text)
    texts, figures = IndexedTexts(run), defaultdict[str, list[tuple[float, int]]](list)
    asked = {one.id: one for one in run.questions}
    for question in read_questions(CACHE / "sets" / name):
        if question.half != "report" or not question.answerable or question.id not in asked:
            continue
        passages, expected = to_passages(asked[question.id], run), list(question.documents)
        for extension, spec in EXTENSIONS.items():
            shown = await extend(texts, spec, passages)
            figures[extension].append((_share(shown, expected, lengths), _count_characters(shown)))
        more = take_as_much(passages, figures["five, with neighbours"][-1][1])
        figures["more passages, as much text as with neighbours"].append(
            (_share(more, expected, lengths), _count_characters(more))
        )
    return figures


def _print_table(sets: dict[str, dict[str, list[tuple[float, int]]]]) -> None:
    print("| share of an answering document's text that is shown | " + " | ".join(sets) + " |")
    print("|---" * (len(sets) + 1) + "|")
    for name in next(iter(sets.values())):
        cells: list[str] = []
        for figures in sets.values():
            shares, sizes = zip(*figures[name], strict=True)
            plain = [share for share, _ in figures["five"]]
            difference = estimate_mean_difference(shares, plain)
            bold = "**" if difference.low > 0 or difference.high < 0 else ""
            change = f"{fmean(shares):.3f}" if name == "five" else f"{bold}{difference.value:+.3f}{bold}"
            cells.append(f"{change} ({fmean(sizes):,.0f})")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--embedders", nargs="+", default=["minilm", "wordllama"])
    options = parser.parse_args()
    for embedder in options.embedders:
        print(f"\n### {embedder}, characters shown in brackets\n")
        runs = {
            name: msgspec.msgpack.decode(run_file(name, embedder, "titled").read_bytes(), type=Run)
            for name in options.sets
        }
        _print_table({name: asyncio.run(_measure_set(name, run)) for name, run in runs.items()})


if __name__ == "__main__":
    main()
