"""The most that rewriting follow-ups can gain: `python -m tests.bench.retrieval.rewriting [--embedder minilm]`.

The questions of the set `turns` were made from whole ones by putting "it" for nouns, so that the whole ones are perfect
rewritings; the earlier question itself stands for one that went wrong. Reads the runs of
`python -m tests.bench.retrieval --sets faq turns`; figures are of the report halves.
"""

import argparse
from collections.abc import Sequence

import msgspec

from gateway.answering.question import Message
from gateway.answering.turn import load_turn_classifier
from gateway.evaluation.label_sets import read_questions
from gateway.evaluation.labels import LabelledQuestion
from gateway.evaluation.retrieval_report import make_report
from gateway.evaluation.retrieval_run import Hit, RunHits, score_run
from tests.bench.retrieval.__main__ import print_metric
from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.fusions import FUSIONS
from tests.bench.retrieval.runs import Run, run_file
from tests.bench.retrieval.sources import CACHE
from tests.bench.retrieval.turns import make_turns

_FUSION = FUSIONS["weighted sum"]


def _rank(embedder: str, set_name: str) -> dict[str, list[Hit]]:
    """Return the passages of each question of a set, best first."""
    run = msgspec.msgpack.decode(run_file(set_name, embedder, "titled").read_bytes(), type=Run)
    ranked: dict[str, list[Hit]] = {}
    for one in run.questions:
        scores = _FUSION(one.candidates, run.unrelated_cosine)
        hits = [Hit(candidate.document, score) for score, candidate in zip(scores, one.candidates, strict=True)]
        ranked[one.id.removeprefix("t-")] = sorted(hits, key=lambda hit: (-hit.score, hit.document))[:50]
    return ranked


def _merge(lists: Sequence[list[Hit]]) -> list[Hit]:
    """Return what a search for several texts finds: each document with the better of its scores."""
    best: dict[str, float] = {}
    for hit in (hit for hits in lists for hit in hits):
        best[hit.document] = max(hit.score, best.get(hit.document, 0.0))
    return [Hit(document, score) for document, score in sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))][:50]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", default="minilm")
    embedder = parser.parse_args().embedder
    questions: Sequence[LabelledQuestion] = read_questions(CACHE / "sets" / "turns")
    plain, whole = _rank(embedder, "turns"), _rank(embedder, "faq")
    classifier = load_turn_classifier()
    turns = {turn.id.removeprefix("t-"): turn for turn in make_turns().questions}
    flagged = {
        id
        for id, turn in turns.items()
        if classifier.classify(turn.text, [Message("user", turn.history[0])]).kind == "follow_up"
    }
    asked_before = {question.text: question.id for question in read_faq().questions}
    wrong = {id: whole[asked_before[turn.history[0]]] for id, turn in turns.items()}
    ways = {
        "as it is": plain,
        "rewritten": whole,
        "both": {id: _merge([plain[id], whole[id]]) for id in plain},
        "both, by the rules": {id: _merge([plain[id], whole[id]] if id in flagged else [plain[id]]) for id in plain},
        "rewritten wrongly": wrong,
        "both, wrongly": {id: _merge([plain[id], wrong[id]]) for id in plain},
    }
    results = {
        name: score_run(questions, {f"t-{id}": RunHits(hits[id], 0.0) for id in plain}) for name, hits in ways.items()
    }
    report = make_report("turns", embedder, list(results.items()), score_threshold=0.0)
    print_metric({"turns": report}, "ndcg@10")


if __name__ == "__main__":
    main()
