"""Answers on a base model that only the engine at its URL knows."""

import json

from sqlalchemy import delete

from gateway.db import open_database
from gateway.engines.tables import BaseModelRow
from gateway.settings import Settings
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import running
from tests.training import chat_templates as templates


async def test_requests_have_the_form_that_the_template_of_the_engine_takes(
    settings: Settings, engine: FakeVllm
) -> None:
    engine.render_by(templates.NO_SYSTEM)
    async with open_database(settings.database) as database, database.begin() as session:
        await session.execute(delete(BaseModelRow))
    async with running(settings) as gateway:
        client = await gateway.tenant("kestrel")
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How late?"}]
        answer = await client.post("/v1/chat/completions", json={"model": "base", "messages": messages})
        assert answer.status_code == 200, answer.text
        folded = [{"role": "user", "content": "Be brief.\n\nHow late?"}]
        assert json.loads(engine.requests()[-1].body)["messages"] == folded
        await client.post("/api/assistants", json={"name": "desk"})
        answer = await client.post("/api/assistants/desk/releases", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert "which base model's weights" in answer.json()["error"]["message"]
