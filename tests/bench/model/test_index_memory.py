from pathlib import Path

import pytest

from retrieval.backends.graph import GraphPolicy
from tests.bench.index_memory import measure

pytestmark = pytest.mark.model


async def test_memory_is_read_after_each_part_and_once_the_graph_is_built(tmp_path: Path) -> None:
    rows = await measure(tmp_path, 2000, GraphPolicy(least=1000, kilobytes=100))
    assert [chunks for chunks, _, _ in rows] == [*range(250, 2001, 250), 2000]
    assert all(own > 0 and files > 0 for _, own, files in rows)
