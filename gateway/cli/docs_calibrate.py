"""`braid docs calibrate`: a store's own weights of the probability that its passages answer a question."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.cli.measurement import await_measurement
from gateway.cli.named_store import get_store
from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.client import Client
from gateway.evaluation.abstention import Abstention
from gateway.evaluation.calibration_report import CalibrationFigures, CalibrationReport
from gateway.evaluation.estimate import Estimate
from gateway.evaluation.label_sets import read_lone_questions
from gateway.evaluation.labels import BadLabels, LabelledQuestion
from gateway.terminal import CommandError, Exit, print_json, print_table, say
from retrieval.answer_probability import LEAST_PROBABILITY

__all__ = ["calibrate"]


_Store = Annotated[str, typer.Argument(help="Id (vs_…) or name of the vector store.")]
_Questions = Annotated[
    Path | None,
    typer.Option(
        help="Labelled questions, as for 'braid eval retrieval'. Without them the base model writes some.", exists=True
    ),
]
_Qrels = Annotated[Path | None, typer.Option(help="Judgements of BEIR or TREC, as for 'braid eval retrieval'.")]
_Generate = Annotated[
    int, typer.Option(help="Number of questions that the base model writes, where none are given.", min=20, max=1000)
]
_Limit = Annotated[
    float, typer.Option(help="The limit of abstention that the figures are of, as least_probability.", min=0, max=1)
]
_Reset = Annotated[
    bool, typer.Option("--reset", help="Take the store's own weights back: answers go by the general model again.")
]


def calibrate(
    store: _Store,
    questions: _Questions = None,
    qrels: _Qrels = None,
    generate: _Generate = 200,
    limit: _Limit = LEAST_PROBABILITY,
    reset: _Reset = False,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fit the probability of an answer to a store's own questions, and let answers go by it where it is better.

    Half of the questions are held out, and the figures are of them. Questions without an answer are the same ones,
    searched for without the documents that answer them. Stopping the command doesn't stop the work.
    """
    if reset:
        if questions is not None or qrels is not None:
            raise CommandError("--reset takes back what there is, and needs no questions.", Exit.USAGE)
        state = asyncio.run(_reset(*find_connection(url, key, home), store))
        if as_json:
            print_json(state)
        say("Answers from this store go by the general model from now on.")
        return
    try:
        labels = None if questions is None else read_lone_questions(questions, qrels)
    except BadLabels as error:
        raise CommandError(str(error), Exit.USAGE) from None
    source: dict[str, Any] = {"generate": generate} if labels is None else {"questions": _to_rows(labels)}
    report = asyncio.run(_calibrate(*find_connection(url, key, home), store, {**source, "least_probability": limit}))
    if as_json:
        print_json(report)
    else:
        columns = ("held-out half", "precision", "recall", "refused with an answer", "limit")
        print_table(columns, [*_to_lines("general", report.before), *_to_lines("own", report.after)])
    say(f"questions: {report.questions}, {report.source if labels is None else f'from {questions}'}")
    say(_describe_outcome(report))


async def _reset(url: str, key: str, store: str) -> dict[str, Any]:
    async with Client(url, key) as client:
        return await client.delete(f"/api/vector_stores/{await get_store(client, store)}/index/calibration")


def _to_rows(questions: Sequence[LabelledQuestion]) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "question": one.text, "documents": [name for name, grade in one.documents.items() if grade > 0]}
        for one in questions
    ]


async def _calibrate(url: str, key: str, store: str, request: dict[str, Any]) -> CalibrationReport:
    async with Client(url, key) as client:
        store_id = await get_store(client, store)
        row = await client.post("/api/evaluations", {"kind": "calibration", "vector_store_id": store_id, **request})
        path = f"/api/evaluations/{row['id']}"
        await await_measurement(client, path, row, unit="steps", lack="The store isn't calibrated")
        return msgspec.convert(await client.get(f"{path}/report"), CalibrationReport)


def _to_lines(name: str, figures: CalibrationFigures) -> list[tuple[str, ...]]:
    """Return a line at the limit, and one at the limit that the other half suggests."""
    lines = [_to_line(name, figures.abstention, figures.refused)]
    if figures.suggested is not None:
        lines.append(_to_line(f"{name}, suggested limit", figures.suggested, None))
    return lines


def _to_line(name: str, abstention: Abstention, refused: Estimate | None) -> tuple[str, ...]:
    figures = (abstention.precision, abstention.recall, refused)
    return (name, *map(_format, figures), f"{abstention.threshold:.2f}")


def _format(estimate: Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _describe_outcome(report: CalibrationReport) -> str:
    loss = f"loss {report.before.loss:.3f} → {report.after.loss:.3f} on {report.held_out} searches that were held out"
    if report.adopted:
        return f"Answers from this store go by its own weights from now on ({loss}), until its embedder changes."
    return f"The general model is as good, so nothing changes ({loss})."
