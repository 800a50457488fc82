import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.evaluation.labels import find_half
from gateway.terminal import Exit
from retrieval.messages import MatchFeatures, Weights
from tests.fakes.retriever import FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

__all__ = ["index", "settings"]

DOCUMENTS = {
    "warranty.md": "The warranty of the kettle is 24 months.",
    "price.md": "The kettle costs 40 euros.",
    "hours.md": "The shop opens at nine.",
}
LABELS = """question,document
warranty of the kettle,warranty.md
what the kettle costs,price
when the shop opens,hours.md
at nine the shop opens,hours.md
zebra,
"""


@pytest.fixture
async def address(gateway: Gateway, index: FakeRetriever, tmp_path: Path) -> AsyncIterator[list[str]]:
    """A store `shop` with the documents, and labels of them in `labels.csv`."""
    (tmp_path / "shop").mkdir()
    for name, text in DOCUMENTS.items():
        (tmp_path / "shop" / name).write_text(text)
    (tmp_path / "labels.csv").write_text(LABELS)
    async with working(gateway.state.settings):
        address = ["--url", gateway.url, "--key", ADMIN_KEY]
        added = await run("docs", "add", "shop", str(tmp_path / "shop"), *address)
        assert added.exit_code == Exit.OK, added.stderr
        yield address


async def test_questions_are_searched_for_and_reported(address: list[str], tmp_path: Path) -> None:
    command = ["eval", "retrieval", "--store", "shop", "--questions", str(tmp_path / "labels.csv")]
    done = await run(*command, "--out", str(tmp_path / "out"), *address)
    assert done.exit_code == Exit.OK, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {row[1] for row in rows} <= {"tune", "report"}
    assert sum(int(row[2]) for row in rows) == 5
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    results = {result["text"]: result for result in report["configurations"][0]["results"]}
    assert results["what the kettle costs"]["expected"] == ["price.md"]
    assert all(one["metrics"]["ndcg@10"] == 1.0 for text, one in results.items() if text != "zebra")
    assert results["zebra"] | {"seconds": 0} == {
        "id": "zebra",
        "text": "zebra",
        "half": find_half("zebra"),
        "expected": [],
        "ranking": [],
        "metrics": {},
        "seconds": 0,
        "probability": 0.0,
    }
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()


async def test_abstention_is_that_of_an_assistant_unless_a_score_is_asked_for(
    address: list[str], index: FakeRetriever, tmp_path: Path
) -> None:
    index.match = lambda score: MatchFeatures(names=1.0)  # unlikely to answer, however high the score
    command = ["eval", "retrieval", "--store", "shop", "--questions", str(tmp_path / "labels.csv"), "--json"]
    for options, abstained in (([], 5), (["--least-probability", "0"], 0), (["--score-threshold", "0"], 1)):
        done = await run(*command, "--out", str(tmp_path), *options, *address)
        assert done.exit_code == Exit.OK, done.stderr
        halves = json.loads(done.stdout)["configurations"][0]["halves"].values()
        assert sum(half["abstention"]["abstained"] for half in halves) == abstained


async def test_one_half_can_be_asked(address: list[str], index: FakeRetriever, tmp_path: Path) -> None:
    command = ["eval", "retrieval", "--store", "shop", "--questions", str(tmp_path / "labels.csv")]
    done = await run(*command, "--report-half", "--out", str(tmp_path), "--json", *address)
    assert done.exit_code == Exit.OK, done.stderr
    (configuration,) = json.loads(done.stdout)["configurations"]
    assert list(configuration["halves"]) == ["report"]
    texts = {query.text for query in index.queries}
    assert texts == {
        line.partition(",")[0] for line in LABELS.splitlines()[1:] if find_half(line.partition(",")[0]) == "report"
    }


async def test_another_store_and_an_earlier_report_are_compared(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "shop" / "hours.md").write_text("Closed.")
    added = await run("docs", "add", "other", str(tmp_path / "shop"), *address)
    assert added.exit_code == Exit.OK, added.stderr
    command = ["eval", "retrieval", "--questions", str(tmp_path / "labels.csv")]
    first = await run(*command, "--store", "shop", "--out", str(tmp_path / "first"), *address)
    assert first.exit_code == Exit.OK, first.stderr
    ending = ["--json", "--out", str(tmp_path / "second"), *address]
    earlier = str(tmp_path / "first" / "report.json")
    done = await run(*command, "--store", "other", "--against", "shop", "--against", earlier, *ending)
    assert done.exit_code == Exit.OK, done.stderr
    report = json.loads(done.stdout)
    assert [one["name"] for one in report["configurations"]] == ["other", "shop", earlier]
    differences = {(one["configuration"], one["half"]): one["differences"]["recall@5"] for one in report["comparisons"]}
    half = find_half("at nine the shop opens")
    assert differences["shop", half]["value"] > 0
    assert differences["shop", half] == differences[earlier, half]
    assert "against other" in done.stderr


async def test_weights_are_compared(address: list[str], index: FakeRetriever, tmp_path: Path) -> None:
    command = ["eval", "retrieval", "--store", "shop", "--questions", str(tmp_path / "labels.csv")]
    command += ["--out", str(tmp_path), "--json", *address]
    done = await run(*command, "--against-weights", "1:3", "--against-weights", "0:1")
    assert done.exit_code == Exit.OK, done.stderr
    names = [one["name"] for one in json.loads(done.stdout)["configurations"]]
    assert names == ["shop", "shop, weights 1:3", "shop, weights 0:1"]
    assert {query.weights for query in index.queries} == {None, Weights(1, 3), Weights(0, 1)}
    for text in ("1", "a:b", "1:2:3", "nan:1", "0:0", "1:-1"):
        wrong = await run(*command, "--against-weights", text)
        assert (wrong.exit_code, "takes two numbers" in wrong.stderr) == (Exit.USAGE, True)


async def test_the_corpus_of_a_test_collection_is_put_into_the_store(address: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": "d1", "title": "Kettles", "text": "They boil."}, {"_id": "d2", "title": "", "text": "Fans spin."}]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "kettles boil"}\n{"_id": "2", "text": "fans"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\td1\t1\n2\td2\t1\n")
    command = ["eval", "retrieval", "--store", "beir", "--questions", str(folder), "--out", str(tmp_path), "--json"]
    done = await run(*command, "--add-corpus", *address)
    assert done.exit_code == Exit.OK, done.stderr
    results = json.loads(done.stdout)["configurations"][0]["results"]
    assert [(one["expected"], one["metrics"]["mrr"]) for one in results] == [(["d1.md"], 1.0), (["d2.md"], 1.0)]
    (folder / "corpus.jsonl").write_text('{"_id": "d3", "text": " "}')
    empty = await run(*command, "--add-corpus", *address)
    assert (empty.exit_code, "'d3' of the corpus can't be indexed" in empty.stderr) == (Exit.USAGE, True)


async def test_what_cannot_be_evaluated_says_what_to_do(address: list[str], tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    command = ["eval", "retrieval", "--questions", str(labels), "--out", str(tmp_path), *address]
    done = await run(*command, "--store", "nowhere")
    assert (done.exit_code, "braid docs add" in done.stderr) == (Exit.NOT_FOUND, True)
    done = await run(*command, "--store", "shop", "--against", str(tmp_path / "no.json"))
    assert (done.exit_code, "isn't a report" in done.stderr) == (Exit.USAGE, True)
    labels.write_text("question,document\nwhat it costs,prices.md\n")
    done = await run(*command, "--store", "shop")
    assert done.exit_code == Exit.USAGE
    assert "the store 'shop' doesn't have: prices.md" in done.stderr
    labels.write_text("question,document\n,prices.md\n")
    done = await run(*command, "--store", "shop")
    assert (done.exit_code, "line 2: it has no question" in done.stderr) == (Exit.USAGE, True)
    later = tmp_path / "later.jsonl"
    later.write_text('{"question": "And that?", "history": ["What does the K2 cost?"], "document": "price.md"}\n')
    done = await run(*command[:3], str(later), *command[4:], "--store", "shop")
    assert (done.exit_code, "1 question with a history" in done.stderr) == (Exit.USAGE, True)
    other = "report" if find_half("alone") == "tune" else "tune"
    labels.write_text("question,document\nalone,price.md\n")
    done = await run(*command, "--store", "shop", f"--{other}-half")
    assert (done.exit_code, f"in the {other} half" in done.stderr) == (Exit.USAGE, True)
