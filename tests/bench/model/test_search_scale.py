from pathlib import Path

import pytest

from tests.bench.search_scale import describe, measure

pytestmark = pytest.mark.model


async def test_searches_are_timed_at_each_size(tmp_path: Path) -> None:
    seconds = await measure(tmp_path, [200, 400], 5)
    assert set(seconds) == {(200, "large"), (400, "large")}
    assert "| 400 | large, 200 chunks |" in describe(seconds)
