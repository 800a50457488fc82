"""One tenant's edit isn't kept waiting by the thousands of others, nor by a training or questions without a pause."""

import statistics
from pathlib import Path

import pytest

from tests.bench.freshness import describe, measure

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(300)]


async def test_an_edit_is_live_soon_among_many_waiting_documents_a_training_and_questions(tmp_path: Path) -> None:
    # More tenants than the worker has slots, so that an edit has to be given the next one that is free.
    figures = await measure(tmp_path, documents=600, others=12, rate=60, edits=8, embedder="words")
    assert len(figures.edits) == 8
    assert figures.waiting > 200, "the others' documents were there to wait for"
    assert figures.steps > 0, "the training went on"
    assert figures.refused == 0
    assert len(figures.questions) > 8
    # The aim is 2 s at p95 on an idle machine (measured by the benchmark); one that is busy may take a few times as
    # long, and the others' 600 documents take minutes.
    assert statistics.median(figures.edits) < 8, describe(figures)
