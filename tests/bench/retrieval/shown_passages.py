"""Bounds on what a model is shown: `python -m tests.bench.retrieval.shown_passages [--sets …] [--embedders …]`.

Copies put behind one passage, and at most so many passages of a document, each against neither, among the passages that
a release shows by its defaults. Reads the runs of `python -m tests.bench.retrieval`; figures are of the report halves.
"""

import argparse
from collections.abc import Sequence
from statistics import fmean

import msgspec

from gateway.answering.ranking import arrange, count_wanted
from gateway.assistants.release import RetrievalSpec
from gateway.evaluation.estimate import estimate_mean_difference
from gateway.evaluation.label_sets import read_questions
from gateway.evaluation.labels import LabelledQuestion
from gateway.evaluation.ranking_metrics import score_rankings
from retrieval.answer_probability import JUDGED_PASSAGES
from retrieval.messages import Passage
from tests.bench.retrieval.fusions import FUSIONS
from tests.bench.retrieval.runs import AskedQuestion, Run, run_file
from tests.bench.retrieval.sets import SETS
from tests.bench.retrieval.sources import CACHE

__all__ = ["BOUNDS", "FIGURES", "measure_shown", "to_passages"]

_DEFAULT = RetrievalSpec((), top_k=JUDGED_PASSAGES)
BOUNDS: dict[str, RetrievalSpec] = {
    "neither": _DEFAULT,
    "copies collapsed": msgspec.structs.replace(_DEFAULT, collapse_duplicates=True),
    "at most 1 per document": msgspec.structs.replace(_DEFAULT, max_per_document=1),
    "at most 2 per document": msgspec.structs.replace(_DEFAULT, max_per_document=2),
    "both, at most 2": msgspec.structs.replace(_DEFAULT, collapse_duplicates=True, max_per_document=2),
}
FIGURES = {
    "answer": "a passage of an answering document is shown",
    "text": "share of an answering document's text that is shown",
    "copies": "share of the passages that are copies of a better one",
    "documents": "documents shown",
    "ndcg@10": "nDCG@10 of the documents, copies behind the passage that stands for them",
}


def to_passages(asked: AskedQuestion, run: Run) -> list[Passage]:
    """Return a question's passages as a search gives them, best first by today's fusion."""
    scores = FUSIONS["weighted sum"](asked.candidates, run.unrelated_cosine)
    ranked = sorted(zip(scores, asked.candidates, strict=True), key=lambda pair: (-pair[0], pair[1].document))
    passages: list[Passage] = []
    for score, candidate in ranked[:50]:
        chunk = run.texts[candidate.chunk]
        passages.append(
            Passage(
                id=f"{chunk.document}-{chunk.start}",
                store="",
                document=chunk.document,
                key=chunk.document,
                version=1,
                file_id="",
                filename="",
                text=chunk.text,
                start=chunk.start,
                end=chunk.start + len(chunk.text),
                heading=chunk.heading,
                score=score,
                attributes={},
            )
        )
    return passages


def measure_shown(
    passages: Sequence[Passage], spec: RetrievalSpec, expected: Sequence[str], lengths: dict[str, int]
) -> dict[str, float]:
    """Return the figures of one question, all but nDCG; `lengths` are those of the documents' texts."""
    shown = arrange(passages[: count_wanted(spec)], spec, 0.0)
    originals = arrange([one.passage for one in shown], BOUNDS["copies collapsed"], 0.0)
    cited = {passage.document for one in shown for passage in (one.passage, *one.copies)}
    texts = {
        document: sum(len(one.passage.text) for one in shown if one.passage.document == document)
        for document in expected
    }
    return {
        "answer": float(bool(cited & set(expected))),
        "text": max((text / lengths[document] for document, text in texts.items()), default=0.0),
        "copies": 1 - len(originals) / len(shown) if shown else 0.0,
        "documents": float(len({one.passage.document for one in shown})),
    }


def _rank(passages: Sequence[Passage], spec: RetrievalSpec) -> list[str]:
    arranged = arrange(passages, msgspec.structs.replace(spec, top_k=len(passages)), 0.0)
    return list(dict.fromkeys(passage.document for one in arranged for passage in (one.passage, *one.copies)))


def _measure_set(questions: Sequence[LabelledQuestion], run: Run) -> dict[str, dict[str, list[float]]]:
    """Return each figure of each question of the report half, by what bounds the passages."""
    lengths: dict[str, int] = {}
    for text in run.texts:
        lengths[text.document] = lengths.get(text.document, 0) + len(text.text)
    reported = {one.id: one for one in questions if one.half == "report" and one.answerable}
    found = {asked.id: to_passages(asked, run) for asked in run.questions if asked.id in reported}
    labels = {id: question.documents for id, question in reported.items()}
    figures: dict[str, dict[str, list[float]]] = {}
    for name, spec in BOUNDS.items():
        scores = score_rankings(labels, {id: _rank(passages, spec) for id, passages in found.items()})
        rows = [
            measure_shown(passages, spec, list(labels[id]), lengths) | {"ndcg@10": scores[id]["ndcg@10"]}
            for id, passages in found.items()
        ]
        figures[name] = {figure: [row[figure] for row in rows] for figure in FIGURES}
    return figures


def _print_figure(figure: str, sets: dict[str, dict[str, dict[str, list[float]]]]) -> None:
    print(f"| {FIGURES[figure]} | " + " | ".join(sets) + " |")
    print("|---" * (len(sets) + 1) + "|")
    for name in BOUNDS:
        cells = [_format(figures[name][figure], figures["neither"][figure]) for figures in sets.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def _format(values: Sequence[float], baseline: Sequence[float]) -> str:
    if values is baseline:
        return f"{fmean(values):.3f}"
    difference = estimate_mean_difference(values, baseline)
    if not any(value != other for value, other in zip(values, baseline, strict=True)):
        return "same"
    mark = "**" if difference.low > 0 or difference.high < 0 else ""
    return f"{mark}{difference.value:+.3f}{mark} ({difference.low:+.3f} to {difference.high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--embedders", nargs="+", default=["minilm", "wordllama"])
    options = parser.parse_args()
    for embedder in options.embedders:
        sets: dict[str, dict[str, dict[str, list[float]]]] = {}
        for name in options.sets:
            run = msgspec.msgpack.decode(run_file(name, embedder, "titled").read_bytes(), type=Run)
            sets[name] = _measure_set(read_questions(CACHE / "sets" / name), run)
        print(f"\n### {embedder}\n")
        for figure in FIGURES:
            _print_figure(figure, sets)


if __name__ == "__main__":
    main()
