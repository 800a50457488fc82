import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gateway.composition import open_worker
from gateway.settings import Settings
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.jobs.working import until_idle
from tests.gateway.tuning import settings
from tests.gateway.worker import TIMINGS

__all__ = ["ALIKE", "EVALS", "EXACT", "SCHEMA", "Evals", "reply", "rows", "sampled", "settings"]

EVALS = "/v1/evals"
SCHEMA = {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]}
EXACT: dict[str, Any] = {
    "type": "string_check",
    "name": "exact",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
    "operation": "eq",
}
ALIKE: dict[str, Any] = {name: one for name, one in EXACT.items() if name != "operation"} | {"type": "text_similarity"}
CAPITALS = {"France": "Paris", "Norway": "Oslo", "Italy": "Rome"}


def reply(chat: Chat) -> str:
    """Answer questions for capitals; as a judge, approve of Paris."""
    last = chat.last
    form = chat.body.get("response_format", {}).get("json_schema", {}).get("name")
    if form == "label":
        return json.dumps({"label": "good" if "Paris" in last else "bad"})
    if form == "score":
        return json.dumps({"score": 4 if "Paris" in last else 1})
    return next((city for country, city in CAPITALS.items() if country in last), "I don't know.")


def rows(*countries: str, **more: Any) -> dict[str, Any]:
    """A source of inline rows, one per country."""
    content = [{"item": {"question": one, "answer": CAPITALS.get(one, "Atlantis"), **more}} for one in countries]
    return {"type": "file_content", "content": content}


def sampled(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A data source that asks the base model."""
    messages = [{"role": "user", "content": "The capital of {{ item.question }}?"}]
    form = {"type": "template", "template": messages}
    return {"type": "completions", "source": source, "model": "base", "input_messages": form, **more}


class Evals:
    """A tenant's way to evals."""

    def __init__(self, gateway: Gateway, http: httpx2.AsyncClient) -> None:
        self._gateway = gateway
        self.http = http

    async def ok(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = await self.http.request(method, EVALS + path, **more)
        assert response.status_code in (200, 201), response.text
        return response.json()

    async def fault(self, status: int, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = await self.http.request(method, EVALS + path, **more)
        assert response.status_code == status, response.text
        return response.json()["error"]

    async def make(self, *criteria: dict[str, Any], **more: Any) -> str:
        config = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
        body = {"data_source_config": config, "testing_criteria": list(criteria) or [EXACT], **more}
        return (await self.ok("POST", "", json=body))["id"]

    async def start(self, id: str, data_source: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.ok("POST", f"/{id}/runs", json={"data_source": data_source, **more})

    async def settle(self) -> None:
        """Run the worker until it has nothing more to do."""
        state = self._gateway.state
        async with open_worker(state.settings, TIMINGS) as worker:
            await until_idle(worker, state.database)

    async def run(self, id: str, data_source: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Start a run, and return it as it ended."""
        run = await self.start(id, data_source, **more)
        await self.settle()
        return await self.ok("GET", f"/{id}/runs/{run['id']}")

    async def items(self, run: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        """Return a run's output items, in the order of the rows."""
        page = await self.ok("GET", f"/{run['eval_id']}/runs/{run['id']}/output_items", params={"limit": 100, **more})
        return sorted(page["data"], key=lambda one: one["datasource_item_id"])

    async def file(self, data: bytes, name: str = "rows.jsonl") -> str:
        form: dict[str, Any] = {"data": {"purpose": "evals"}, "files": {"file": (name, data)}}
        answer = await self.http.post("/v1/files", **form)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]


@pytest.fixture
async def index(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.retriever_socket) as fake:
        yield fake


@pytest.fixture
async def evals(gateway: Gateway, engine: FakeVllm, index: FakeRetriever) -> Evals:
    engine.reply = reply
    return Evals(gateway, await gateway.tenant("kestrel"))
