"""Fusions compared on sets that others wrote: `python -m tests.bench.retrieval [--sets …] [--embedders …]`.

The model environment makes the candidates of each question (`candidates`, once; minutes for a set and an embedder on
two cores), and this one fuses and scores them: seconds. The tables are those of `docs/benchmarks/retrieval.md`, on the
report halves; everything is in `.braid/bench/retrieval.json`.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import quantiles

import msgspec

from gateway.evaluation import Estimate
from gateway.evaluation.label_sets import read_questions
from gateway.evaluation.labels import LabelledQuestion
from gateway.evaluation.ranking_metrics import METRICS
from gateway.evaluation.retrieval_report import Configuration, RetrievalFigures, RetrievalReport, make_report
from gateway.evaluation.retrieval_run import Hit, QuestionResult, RunHits, score_run
from tests.bench.retrieval.fusions import FUSIONS, Fusion
from tests.bench.retrieval.runs import Run, run_file
from tests.bench.retrieval.sets import SETS
from tests.bench.retrieval.sources import CACHE

MODEL_PYTHON = Path(".venv-model/bin/python")
NAMES = ["minilm", "wordllama", "e5"]
TODAY = "weighted sum, title"
LABELS = {"text": "", "titled": ", title", "opening": ", title, first sentence"}


def make_runs(set_name: str, embedder: str) -> Iterator[tuple[str, str, list[QuestionResult]]]:
    """Yield each set (that of several turns twice, without and with the turns before), configuration and results."""
    questions = read_questions(CACHE / "sets" / set_name)
    for (variant, label), turns in product(LABELS.items(), ("", "-history")):
        file = run_file(set_name, embedder, variant + turns)
        if not file.exists():
            continue
        run = msgspec.msgpack.decode(file.read_bytes(), type=Run)
        shown = f"{set_name} + history" if turns else set_name
        for name, fusion in FUSIONS.items():
            yield shown, f"{name}{label}", _score(questions, run, fusion)


def _score(questions: Sequence[LabelledQuestion], run: Run, fusion: Fusion) -> list[QuestionResult]:
    hits: dict[str, RunHits] = {}
    for one in run.questions:
        scores = fusion(one.candidates, run.unrelated_cosine)
        ranked = sorted(zip(scores, one.candidates, strict=True), key=lambda pair: (-pair[0], pair[1].document))
        passages = [Hit(candidate.document, score) for score, candidate in ranked if score > 0][:50]
        hits[one.id] = RunHits(passages, one.embedding_seconds + one.search_seconds)
    return score_run(questions, hits)


def compare(set_names: Sequence[str], embedder: str) -> dict[str, RetrievalReport]:
    """Return the report of each set; today's fusion is its first configuration."""
    runs: dict[str, dict[str, list[QuestionResult]]] = {}
    for set_name in set_names:
        for shown, configuration, results in make_runs(set_name, embedder):
            runs.setdefault(shown, {})[configuration] = results
    return {
        shown: make_report(
            shown, embedder, sorted(by_name.items(), key=lambda pair: pair[0] != TODAY), score_threshold=0.0
        )
        for shown, by_name in runs.items()
    }


def print_metric(reports: dict[str, RetrievalReport], metric: str) -> None:
    """Print one metric of all configurations as Markdown; ▲ and ▼ are beyond the interval of the difference."""
    shown = {name: report for name, report in reports.items() if metric in _figures(report.configurations[0]).metrics}
    print(f"| {metric} | " + " | ".join(shown) + " |")
    print("|---" * (len(shown) + 1) + "|")
    for configuration in sorted({one.name for report in shown.values() for one in report.configurations}):
        cells = [_format_cell(report, configuration, metric) for report in shown.values()]
        name = f"**{configuration}** (today)" if configuration == TODAY else configuration
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def print_contexts(reports: dict[str, RetrievalReport], metric: str) -> None:
    """Print what the text before each chunk changes with today's fusion: paired differences to today's, in bold where
    they are beyond their interval.
    """
    fusion = TODAY.partition(",")[0]
    print(f"| {metric}, difference to today | " + " | ".join(reports) + " |")
    print("|---" * (len(reports) + 1) + "|")
    for variant, label in LABELS.items():
        name = f"{fusion}{label}"
        if name != TODAY:
            cells = [_format_difference(report, name, metric) for report in reports.values()]
            print(f"| {variant} | " + " | ".join(cells) + " |")
    print()


def _format_difference(report: RetrievalReport, name: str, metric: str) -> str:
    for one in report.comparisons:
        if (one.configuration, one.half) == (name, "report") and metric in one.differences:
            difference = one.differences[metric]
            mark = "**" if metric in (*one.better, *one.worse) else ""
            return f"{mark}{difference.value:+.3f}{mark} ({difference.low:+.3f} to {difference.high:+.3f})"
    return "–"


def _figures(configuration: Configuration) -> RetrievalFigures:
    return configuration.halves["report"]


def _format_cell(report: RetrievalReport, name: str, metric: str) -> str:
    configuration = next((one for one in report.configurations if one.name == name), None)
    if configuration is None:
        return "–"
    estimate = _figures(configuration).metrics[metric]
    mark = ""
    for comparison in report.comparisons:
        if comparison.configuration == name and comparison.half == "report":
            mark = " ▲" if metric in comparison.better else " ▼" if metric in comparison.worse else ""
    return f"{estimate.value:.3f} ±{(estimate.high - estimate.low) / 2:.2f}{mark}"


def print_abstention(report: RetrievalReport) -> None:
    """Print how well each configuration's best score tells questions without an answer, at the tuned threshold."""
    print("| threshold by the tune half | threshold | precision | recall | abstained |")
    print("|---|---|---|---|---|")
    for configuration in sorted(report.configurations, key=lambda one: one.name):
        tuned = _figures(configuration).tuned_abstention
        if tuned is None:
            print(f"| {configuration.name} | none is precise enough | – | – | – |")
        else:
            cells = f"{tuned.threshold:.3f} | {_format(tuned.precision)} | {_format(tuned.recall)} | {tuned.abstained}"
            print(f"| {configuration.name} | {cells} |")
    print()


def _format(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"


def print_times(set_names: Sequence[str], embedder: str) -> None:
    for set_name in set_names:
        run = msgspec.msgpack.decode(run_file(set_name, embedder, "titled").read_bytes(), type=Run)
        embedding = quantiles([one.embedding_seconds * 1000 for one in run.questions], n=20)
        search = quantiles([one.search_seconds * 1000 for one in run.questions], n=20)
        sys.stderr.write(
            f"{set_name}: {run.documents} documents, {run.chunks} chunks, {len(run.questions)} questions; a question's "
            f"vector p50 {embedding[9]:.1f} ms, p95 {embedding[18]:.1f} ms; search of 100 candidates p50 "
            f"{search[9]:.1f} ms, p95 {search[18]:.1f} ms\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--embedders", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument(
        "--titled-only", action="store_true", help="leave out chunks with other contexts: a third of the time"
    )
    options = parser.parse_args()
    reports: dict[str, dict[str, RetrievalReport]] = {}
    for embedder in options.embedders:
        variants = "titled" if options.titled_only else ",".join(LABELS)
        command = [str(MODEL_PYTHON), "-m", "tests.bench.retrieval.candidates", embedder, variants, *options.sets]
        subprocess.run(command, check=True)
        reports[embedder] = compare(options.sets, embedder)
        print(f"\n### {embedder}\n")
        for metric in METRICS:
            print_metric(reports[embedder], metric)
        for metric in ("ndcg@10", "recall@5"):
            print_contexts(reports[embedder], metric)
        if unanswered := reports[embedder].get("unanswered"):
            print_abstention(unanswered)
        print_times(options.sets, embedder)
    (CACHE / "retrieval.json").write_bytes(msgspec.json.encode(reports))


if __name__ == "__main__":
    main()
