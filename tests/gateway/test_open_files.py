"""More clients than a process may have open files for: who gets in is answered, and nothing else fails."""

import asyncio
from collections import Counter

import httpx2

from gateway.settings import Settings
from tests.fakes.vllm import FakeVllm
from tests.gateway.gateway_process import gateway_process, make_tenant
from tests.ports import find_port
from tests.waiting import until

ASK = {"model": "base", "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_process_with_few_files_refuses_whom_it_has_no_file_for(settings: Settings, engine: FakeVllm) -> None:
    engine.gap = 0.3  # so that all are there at once
    async with gateway_process(settings, find_port(), files=256) as (client, _):
        headers = {"authorization": f"Bearer {await make_tenant(client, 'kestrel')}"}
        client.headers |= headers
        limits = httpx2.Limits(max_connections=300, max_keepalive_connections=0)

        async def ask(many: httpx2.AsyncClient) -> str:
            try:
                answer = await many.post("/v1/chat/completions", json=ASK)
            except httpx2.TransportError:
                return "closed"
            return str(answer.status_code) if answer.is_success else answer.json()["error"]["code"]

        async def answers() -> bool:
            return await ask(client) == "200"

        refused, ends = 0, Counter[str]()
        # On a busy machine a round's clients may all meet the full queue of the port, which closes them unheard.
        for round in range(8):
            async with httpx2.AsyncClient(base_url=client.base_url, headers=headers, timeout=60, limits=limits) as many:
                ends = Counter(await asyncio.gather(*(ask(many) for _ in range(300))))
            assert ends.keys() <= {"200", "too_many_connections", "closed"}, ends
            assert ends["200"] >= 40, ends
            refused += ends["too_many_connections"]
            await until(answers)
            if round > 0 and refused >= 20:
                break
        assert refused >= 20, ends
