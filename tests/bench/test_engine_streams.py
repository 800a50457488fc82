"""The engine's benchmark, on the fake one."""

from collections import Counter
from pathlib import Path

from tests.bench.engine_streams import describe
from tests.fakes.vllm import CHAT, FakeVllm


async def test_each_model_is_asked_as_often_as_its_mixes_say(tmp_path: Path) -> None:
    async with FakeVllm() as fake:
        fake.adapters["voice"] = tmp_path
        lines = (await describe(fake.url, rounds=1, streams=3)).splitlines()
        asked = Counter(received.json["model"] for received in fake.received if received.path == CHAT)
    assert [line.partition(":")[0] for line in lines] == ["base", "an adapter", "2 models by turns"]
    # Written and read, 6 times each and once before: alone, and every second time where both are asked.
    assert asked == {fake.model: 14 + 2 * 4, "voice": 14 + 2 * 3}
