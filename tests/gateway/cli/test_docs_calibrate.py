import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.terminal import Exit
from retrieval.messages import MatchFeatures
from tests.fakes.retriever import FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

__all__ = ["index", "settings"]

WORDS = "amber birch cedar daisy elder fennel ginger hazel iris juniper kale lilac".split()
PLACES = ("Ardent", "Brook", "Coast")


@pytest.fixture
async def address(gateway: Gateway, index: FakeRetriever, tmp_path: Path) -> AsyncIterator[list[str]]:
    """A store `plants`, whose passages match by its words alone, and labelled questions in `labels.csv`."""
    index.match = lambda score: MatchFeatures(closeness=0.5, coverage=score, heading=float(score > 0.9), names=1.0)
    (tmp_path / "plants").mkdir()
    for word in WORDS:
        parts = [f"Where does the {word} of {place} grow? {'Deep ' * 30} in woods." for place in PLACES]
        (tmp_path / "plants" / f"{word}.md").write_text("\n\n".join(parts))
    rows = [f"Where does the {word} of {place} grow?,{word}.md" for word in WORDS for place in PLACES]
    (tmp_path / "labels.csv").write_text("\n".join(["question,document", *rows, ""]))
    async with working(gateway.state.settings):
        address = ["--url", gateway.url, "--key", ADMIN_KEY]
        added = await run("docs", "add", "plants", str(tmp_path / "plants"), *address)
        assert added.exit_code == Exit.OK, added.stderr
        yield address


async def test_a_store_gets_weights_of_its_own_and_gives_them_back(address: list[str], tmp_path: Path) -> None:
    command = ["docs", "calibrate", "plants", *address]
    done = await run(*command, "--questions", str(tmp_path / "labels.csv"))
    assert done.exit_code == Exit.OK, done.stderr
    figures = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
    assert {"general", "own"} <= figures.keys()
    assert float(figures["own"][0].split()[0]) >= 0.9  # its precision
    assert "its own weights from now on" in done.stderr
    assert f"questions: {len(WORDS) * len(PLACES)}" in done.stderr
    taken = await run(*command, "--reset", "--json")
    assert taken.exit_code == Exit.OK, taken.stderr
    assert json.loads(taken.stdout)["calibration"]["in_use"] is False
    again = await run(*command, "--reset")
    assert again.exit_code == Exit.NOT_FOUND
    assert "no weights of its own" in again.stderr


async def test_what_cannot_be_calibrated_says_what_to_do(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("question,document\nWhere?,amber.md\n")
    for arguments, code, says in (
        (["plants", "--questions", str(tmp_path / "few.csv")], Exit.FAILED, "The store isn't calibrated"),
        (["nowhere", "--reset"], Exit.NOT_FOUND, "There is no vector store 'nowhere'"),
        (["plants", "--reset", "--questions", str(tmp_path / "few.csv")], Exit.USAGE, "needs no questions"),
    ):
        refused = await run("docs", "calibrate", *arguments, *address)
        assert (refused.exit_code, says in refused.stderr) == (code, True), refused.stderr
