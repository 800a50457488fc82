"""`braid eval`: quality, measured against labels on a running gateway."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Home, Key, Url, check_output_folder, find_connection
from gateway.client import Client
from gateway.client.documents import WAIT_SECONDS
from gateway.counts import format_count
from gateway.evaluation.label_sets import CorpusDocument, read_corpus, read_lone_questions
from gateway.evaluation.labels import BadLabels, Half, LabelledQuestion
from gateway.evaluation.ranking_metrics import METRICS
from gateway.evaluation.remote_store import NoStore, RemoteStore, put_corpus
from gateway.evaluation.retrieval_page import render_page
from gateway.evaluation.retrieval_report import RetrievalReport, load_report, make_report
from gateway.evaluation.retrieval_run import QuestionResult, score_run, search_questions
from gateway.progress import Progress
from gateway.terminal import CommandError, Exit, print_json, print_table, say
from gateway.vector_stores.schemas import HybridSearch
from retrieval.answer_probability import LEAST_PROBABILITY
from retrieval.messages import Weights

__all__ = ["evaluations"]

evaluations = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Measure quality against labelled questions."
)

_Store = Annotated[str, typer.Option(help="Id (vs_…) or name of the vector store.")]
_Questions = Annotated[
    Path,
    typer.Option(
        help="Labelled questions: a .jsonl, .csv or .tsv with question and document, or a folder as BEIR has it.",
        exists=True,
    ),
]
_Qrels = Annotated[
    Path | None, typer.Option(help="Judgements of BEIR or TREC, where they aren't in the folder's qrels/test.tsv.")
]
_Against = Annotated[
    list[str] | None,
    typer.Option(help="Compare with another store of the same documents, or with the report.json of an earlier run."),
]
_AgainstWeights = Annotated[
    list[str] | None,
    typer.Option(help="Compare with the same store by these weights of meaning and words, such as 1:0 (or 1:1, …)."),
]
_LeastProbability = Annotated[
    float,
    typer.Option(
        help="A question counts as abstained from whose passages answer it with less, as a release does it.",
        min=0,
        max=1,
    ),
]
_Threshold = Annotated[
    float | None,
    typer.Option(help="Count abstention by the best passage's score instead, where it is below this.", min=0, max=1),
]
_TuneHalf = Annotated[bool, typer.Option("--tune-half", help="Ask only the half to choose settings on.")]
_ReportHalf = Annotated[bool, typer.Option("--report-half", help="Ask only the half to report.")]
_AddCorpus = Annotated[
    bool, typer.Option("--add-corpus", help="First put the corpus.jsonl of BEIR's folder into the store.")
]
_Out = Annotated[Path, typer.Option(callback=check_output_folder, help="Folder for report.json and report.html.")]


@evaluations.callback()
def _group() -> None:
    """Keep `retrieval` a command of its own name: a group of one would be that one."""


@evaluations.command("retrieval")
def retrieval(
    store: _Store,
    questions: _Questions,
    qrels: _Qrels = None,
    against: _Against = None,
    against_weights: _AgainstWeights = None,
    least_probability: _LeastProbability = LEAST_PROBABILITY,
    score_threshold: _Threshold = None,
    tune_half: _TuneHalf = False,
    report_half: _ReportHalf = False,
    add_corpus: _AddCorpus = False,
    out: _Out = Path("eval-retrieval"),
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Search for labelled questions, and compare what is found with the documents that answer them.

    A question's half follows from its text; without a choice both are asked, and reported apart.
    """
    try:
        labels = _choose_half(read_lone_questions(questions, qrels), tune=tune_half, report=report_half)
        weights = [_read_weights(text) for text in against_weights or ()]
        address = find_connection(url, key, home)
        if add_corpus:
            asyncio.run(_add_corpus(*address, store, list(read_corpus(questions))))
        runs = asyncio.run(_search(*address, store, labels, against or [], weights))
        result = make_report(
            *(questions.name, store, runs), score_threshold=score_threshold, least_probability=least_probability
        )
    except NoStore as error:
        raise CommandError(str(error), Exit.NOT_FOUND) from None
    except BadLabels as error:
        raise CommandError(str(error), Exit.USAGE) from None
    result.save(out / "report.json")
    (out / "report.html").write_text(render_page(result), encoding="utf-8")
    if as_json:
        print_json(result)
    else:
        _print_figures(result)
    _say_differences(result)
    say(f"The report is in {out / 'report.json'}, with pictures in {out / 'report.html'}.")


def _choose_half(questions: list[LabelledQuestion], *, tune: bool, report: bool) -> list[LabelledQuestion]:
    if tune == report:
        return questions
    half: Half = "tune" if tune else "report"
    selection = [question for question in questions if question.half == half]
    if not selection:
        raise BadLabels(f"None of the questions ({len(questions)}) is in the {half} half. Leave --{half}-half out.")
    return selection


async def _add_corpus(url: str, key: str, store: str, documents: Sequence[CorpusDocument]) -> None:
    say(f"{store}: {format_count(len(documents), 'document')}")
    async with Client(url, key, timeout=WAIT_SECONDS + 30) as client:
        with Progress().line(f"documents of {store}") as line:
            await put_corpus(client, store, documents, lambda count: line.show(count, len(documents)))


async def _search(
    url: str,
    key: str,
    store: str,
    questions: Sequence[LabelledQuestion],
    against: Sequence[str],
    weights: Sequence[Weights],
) -> list[tuple[str, list[QuestionResult]]]:
    """Search in each store and in each way, and return what these and each earlier run had, by its name."""
    earlier = {name: load_report(Path(name)) for name in against if name.endswith(".json")}
    async with Client(url, key) as client:
        # All are opened first, so that a name that is wrong is told before minutes of searching.
        stores = {name: await RemoteStore.open(client, name) for name in (store, *against) if name not in earlier}
        resolved = {name: one.names.resolve(questions) for name, one in stores.items()}
        runs = {name: await _run(name, one, resolved[name]) for name, one in stores.items()}
        ways = {f"{store}, weights {one.embedding:g}:{one.text:g}": one for one in weights}
        for name, one in ways.items():
            runs[name] = await _run(name, stores[store], resolved[store], one)
    for name, report in earlier.items():
        runs[name] = _select(report, {question.id for question in questions})
    return [(name, runs[name]) for name in dict.fromkeys((store, *against, *ways))]


def _read_weights(text: str) -> Weights:
    """Read two numbers with a colon between them, as `hybrid_search` takes them."""
    try:
        meaning, words = map(float, text.split(":"))
        shares = HybridSearch(embedding_weight=meaning, text_weight=words)
    except ValueError:
        raise BadLabels(
            f"--against-weights takes two numbers of 0 or more, meaning:words, such as 1:0, and not {text!r}."
        ) from None
    return Weights(shares.embedding_weight, shares.text_weight)


async def _run(
    name: str, store: RemoteStore, questions: Sequence[LabelledQuestion], weights: Weights | None = None
) -> list[QuestionResult]:
    say(f"{name}: {format_count(len(questions), 'question')}")
    with Progress().line(name) as line:
        hits = await search_questions(
            questions, partial(store.search, weights=weights), lambda count: line.show(count, len(questions))
        )
    return score_run(questions, hits)


def _select(report: RetrievalReport, ids: set[str]) -> list[QuestionResult]:
    return [result for result in report.configurations[0].results if result.id in ids]


def _print_figures(report: RetrievalReport) -> None:
    """Print a line for each configuration and half."""
    rows: list[tuple[object, ...]] = []
    for configuration in report.configurations:
        for half, figures in configuration.halves.items():
            cells = [f"{figures.metrics[name].value:.3f}" if name in figures.metrics else "–" for name in METRICS]
            abstention = figures.abstention
            shares = (abstention.precision, abstention.recall) if abstention else (None, None)
            rates = [f"{one.value:.2f}" if one else "–" for one in shares]
            times = [f"{seconds * 1000:.0f} ms" for seconds in (figures.p50, figures.p95)]
            rows.append((configuration.name, half, figures.questions, *cells, *rates, *times))
    columns = ("configuration", "half", "n", *METRICS, "abstention precision", "recall", "p50", "p95")
    print_table(columns, rows)


def _say_differences(report: RetrievalReport) -> None:
    for comparison in report.comparisons:
        changes = [f"better {name}" for name in comparison.better] + [f"worse {name}" for name in comparison.worse]
        say(
            f"{comparison.configuration} against {comparison.baseline}, {comparison.half} half: "
            f"{', '.join(changes) or 'no difference beyond its interval'}"
        )
