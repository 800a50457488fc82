"""The tour's commands, run as they stand there: the real gateway and worker, with a fake engine, trainer and index."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import background_worker, ended, settings, until_loaded

__all__ = ["background_worker", "settings"]

TOUR = Path(__file__).parents[2] / "docs" / "tour.md"
PACKAGED_MODEL = "smollm2-135m-instruct"


class Reader:
    """Somebody who types the tour's commands one after the other, with the ids that the answers gave."""

    def __init__(self, url: str, folder: Path) -> None:
        self._prelude, *blocks = re.findall(r"^```sh\n(.*?)^```", TOUR.read_text(), re.MULTILINE | re.DOTALL)
        self.left = re.findall(r"^api .*?(?=^api |\Z)", "".join(blocks), re.MULTILINE | re.DOTALL)
        self.key = ADMIN_KEY
        self.known: dict[str, str] = {}
        self._url = url
        self._folder = folder

    async def types(self) -> dict[str, Any]:
        """Run the next command and return what it answered."""
        command = self.left.pop(0)
        for placeholder, value in self.known.items():
            command = command.replace(placeholder, value)
        script = f"BRAID_URL={self._url} BRAID_KEY={self.key}\n{self._prelude}{command}"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc", script), cwd=self._folder, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        answer = json.loads(output)
        assert not answer.get("error"), (command, answer)
        return answer


async def test_every_command_of_the_tour_works(
    gateway: Gateway, engine: FakeVllm, background_worker: None, tmp_path: Path
) -> None:
    reader = Reader(gateway.url, tmp_path)

    assert (await reader.types())["name"] == "kestrel"
    reader.key = (await reader.types())["key"]

    reader.known["vs_…"] = (await reader.types())["id"]
    assert (await reader.types())["status"] == "completed"

    assert (await reader.types())["name"] == "house"

    reader.known["file-…"] = (await reader.types())["id"]
    reader.known[PACKAGED_MODEL] = engine.model
    reader.known["ftjob-…"] = job = (await reader.types())["id"]
    assert (await reader.types())["data"]
    async with gateway.client(reader.key) as client:
        await ended(client, job)
        reader.known["ft:…"] = model = (await reader.types())["fine_tuned_model"]
        await until_loaded(client, model)

    assert (await reader.types())["name"] == "support"
    fingerprint = (await reader.types())["fingerprint"]
    assert (await reader.types())["revision"] == 1

    answer = await reader.types()
    assert engine.requests()[-1].json["max_tokens"] == 40, "an adapter may never end its answer by itself"
    assert answer["system_fingerprint"] == fingerprint
    assert answer["braid"]["release"] == "support@1"
    assert reader.left == []
