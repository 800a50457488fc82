"""Abstention by the general model and by own weights: `.venv-model/bin/python -m tests.bench.retrieval.abstention`.

Each question of a set is searched for as it is, and with the documents that answer it left out, which stands for a
question without an answer; 60 questions of other sets are asked besides. The own weights are fitted to the set's tune
half. Figures are of the report half, with 3 of 10 questions without an answer, one in five of those from other sets.
The set `unanswered` has questions without an answer, and far ones; it is asked as it is, each question once.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass

import msgspec

from gateway.evaluation.answer_calibration import MatchedQuestion, fit_weights
from gateway.evaluation.label_sets import read_questions
from gateway.evaluation.labels import LabelledQuestion
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.embedder import Embedder
from retrieval.fusion import fuse
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.match_features import measure_matches
from retrieval.messages import MatchFeatures, SearchQuery
from retrieval.parsers.text import clean
from retrieval.visibility import show_to_reader, show_to_search
from tests.bench.retrieval.candidates import index_documents, open_vectors
from tests.bench.retrieval.embedders import EMBEDDERS
from tests.bench.retrieval.models import draw
from tests.bench.retrieval.runs import run_file
from tests.bench.retrieval.sets import read_documents, write_set

_SETS = ("faq", "identifiers", "tables", "manuals", "near-names", "procedures")
_AS_IT_IS = "unanswered"
_PASSAGES, _CANDIDATES, _FAR = 5, 40, 60
_LIMITS = (0.3, 0.4)
_UNANSWERABLE, _FAR_SHARE = 0.3, 0.2


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question's best match; `weight` is its part of a usual mixture of questions."""

    match: MatchedQuestion
    half: str
    weight: float
    far: bool


async def _ask_set(name: str, embedder_name: str, embedder: Embedder) -> list[_Asked]:
    folder = write_set(name)
    documents = read_documents(folder)
    index = run_file(name, embedder_name, "abstention").with_suffix(".index")
    backend = await index_documents(index, documents, embedder, open_vectors(name, embedder_name, embedder))
    try:
        if name == _AS_IT_IS:
            return [await _ask_as_it_is(backend, embedder, one) for one in read_questions(folder)]
        return await _ask_with_and_without(name, backend, embedder, {document.id for document in documents})
    finally:
        await backend.close()
        shutil.rmtree(index, ignore_errors=True)


async def _ask_as_it_is(backend: EmbeddedBackend, embedder: Embedder, question: LabelledQuestion) -> _Asked:
    match = MatchedQuestion.of(await _match(backend, embedder, question, []), answerable=question.answerable)
    return _Asked(match, question.half, 1.0, far=question.id.startswith("far-"))


async def _ask_with_and_without(
    name: str, backend: EmbeddedBackend, embedder: Embedder, names: Set[str]
) -> list[_Asked]:
    questions = [one for one in read_questions(write_set(name)) if one.answerable]
    others = [one for other in _SETS if other != name for one in read_questions(write_set(other)) if one.answerable]
    far = sorted(others, key=lambda one: draw(one.text, 2**32))[:_FAR]
    asked: list[_Asked] = []
    for question in questions:
        gold = [document for document, grade in question.documents.items() if grade > 0]
        # A manual's translations answer as well.
        out = [one for one in names if one.split("-", 1)[-1] in {id.split("-", 1)[-1] for id in gold}]
        there = await _match(backend, embedder, question, [])
        gone = await _match(backend, embedder, question, out if name == "manuals" else gold)
        near = _UNANSWERABLE * (1 - _FAR_SHARE) / len(questions)
        answered = (1 - _UNANSWERABLE) / len(questions)
        asked.append(_Asked(MatchedQuestion.of(there, answerable=True), question.half, answered, far=False))
        asked.append(_Asked(MatchedQuestion.of(gone, answerable=False), question.half, near, far=False))
    for question in far:
        match = MatchedQuestion.of(await _match(backend, embedder, question, []), answerable=False)
        asked.append(_Asked(match, question.half, _UNANSWERABLE * _FAR_SHARE / len(far), far=True))
    return asked


async def _match(
    backend: EmbeddedBackend, embedder: Embedder, question: LabelledQuestion, out: Sequence[str]
) -> list[MatchFeatures]:
    text = clean(question.text)
    query = SearchQuery(tenant="bench", stores={"vs_bench": 1}, text=text, exclude=list(out))
    (vector,) = embedder.embed_questions([text])
    words = KeywordEncoder().encode_question(text)
    candidates = await backend.search(show_to_search(query, None), show_to_reader(query), vector, words, _CANDIDATES)
    best = fuse(candidates, limit=_PASSAGES, threshold=None, unrelated=embedder.unrelated_cosine)
    return measure_matches(text, [one for _, one in best], candidates, embedder.unrelated_cosine)


def _describe(asked: Sequence[_Asked], weights: Sequence[float] | None, limit: float) -> str:
    """Return precision, recall, the share of far questions refused, and that of questions with an answer."""
    refused = [one for one in asked if one.match.estimate(weights) < limit]
    wrong = sum(one.weight for one in refused if one.match.answerable)
    right = sum(one.weight for one in refused if not one.match.answerable)
    there = sum(one.weight for one in asked if one.match.answerable)
    without = sum(one.weight for one in asked if not one.match.answerable)
    far = [one.far for one in asked].count(True)
    precision = f"{right / (right + wrong):.2f}" if refused else "–"
    of_far = [one.far for one in refused].count(True) / far
    return f"{precision}, {right / without:.2f} | {of_far:.2f} | {wrong / there:.3f}"


async def _main(embedder_name: str, sets: Sequence[str]) -> None:
    embedder = EMBEDDERS[embedder_name]()
    print("| set | weights | limit | precision, recall | far refused | refused with an answer |")
    print("|---|---|---|---|---|---|")
    for name in sets:
        sys.stderr.write(f"{name}\n")
        asked = await _ask_set(name, embedder_name, embedder)
        file = run_file(name, embedder_name, "abstention")
        file.write_bytes(msgspec.msgpack.encode([(one.match, one.half, one.weight, one.far) for one in asked]))
        own = fit_weights([one.match for one in asked if one.half == "tune"])
        report = [one for one in asked if one.half == "report"]
        for label, weights in (("general", None), ("own", own)):
            for limit in _LIMITS:
                print(f"| {name} | {label} | {limit} | {_describe(report, weights, limit)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", choices=list(EMBEDDERS), default="minilm")
    parser.add_argument("--sets", nargs="+", choices=(*_SETS, _AS_IT_IS), default=[*_SETS, _AS_IT_IS])
    options = parser.parse_args()
    asyncio.run(_main(options.embedder, options.sets))
