"""Steps and a rule by which tests compare and vote: of two answers the better one ends with "Fair winds."."""

import asyncio
from typing import Any

import httpx2
from sqlalchemy import select

from gateway.composition import open_worker
from gateway.jobs import FINAL_STATUSES, JobRow
from tests.fakes.vllm import Chat
from tests.gateway.conftest import Gateway
from tests.gateway.jobs.working import until_idle
from tests.gateway.worker import TIMINGS

COMPARISONS = "/api/comparisons"
FEEDBACK = "/api/feedback"
PLAIN, WARM = "You are plain.", "You are warm."
"""The prompts of the releases `desk@1` and `desk@2`."""


def reply(chat: Chat) -> str:
    """Answer as the release's prompt says."""
    question = chat.last.rpartition("\n")[2]
    return f"About {question} Fair winds." if "warm" in chat.prompt else f"About {question} Goodbye."


def prompts(*texts: str) -> list[dict[str, Any]]:
    return [{"messages": [{"role": "user", "content": text}]} for text in texts]


class Voting:
    """A tenant's way to comparisons and feedback; its assistant `desk` has two releases."""

    def __init__(self, gateway: Gateway, http: httpx2.AsyncClient) -> None:
        self._gateway = gateway
        self.http = http

    async def ok(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = await self.http.request(method, path, **more)
        assert response.status_code in (200, 201, 202), response.text
        return response.json()

    async def fault(self, status: int, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = await self.http.request(method, path, **more)
        assert response.status_code == status, response.text
        return response.json()["error"]

    async def release(self, **more: Any) -> None:
        """Make the assistant with its two releases."""
        await self.ok("POST", "/api/assistants", json={"name": "desk"})
        for name, template in (("plain", PLAIN), ("warm", WARM)):
            await self.ok("POST", "/api/prompts", json={"name": name, "template": template})
            await self.ok("POST", "/api/assistants/desk/releases", json={"prompt": f"{name}@1", **more})

    async def settle(self) -> None:
        """Run the worker until it has nothing more to do now; what is garbage is collected later."""
        state = self._gateway.state
        asks = select(JobRow).where(JobRow.kind.in_(["comparison", "eval_run"]), JobRow.status.not_in(FINAL_STATUSES))
        while True:
            async with open_worker(state.settings, TIMINGS) as worker:
                await until_idle(worker, state.database, delayed_too=False)
            async with state.database.read() as session:
                if (await session.scalars(asks)).first() is None:
                    return
            await asyncio.sleep(0.1)

    async def begin(self, *texts: str, **more: Any) -> dict[str, Any]:
        body = {"models": ["desk@1", "desk@2"], "seed": 7, **({"prompts": prompts(*texts)} if texts else {}), **more}
        return await self.ok("POST", COMPARISONS, json=body)

    async def compare(self, *texts: str, **more: Any) -> str:
        """Compare the releases, and return the id of the comparison once it has ended."""
        id = (await self.begin(*texts, **more))["id"]
        await self.settle()
        ended = await self.ok("GET", f"{COMPARISONS}/{id}")
        assert ended["status"] == "succeeded", ended
        return id

    async def items(self, id: str, **more: Any) -> list[dict[str, Any]]:
        """Return a comparison's items in the order of its prompts."""
        page = await self.ok("GET", f"{COMPARISONS}/{id}/items", params=more)
        return sorted(page["data"], key=lambda one: one["number"])

    async def vote(self, item: dict[str, Any], preferred: str, voter: str, **more: Any) -> dict[str, Any]:
        path = f"{COMPARISONS}/{item['comparison_id']}/items/{item['id']}/votes"
        return await self.ok("POST", path, json={"preferred": preferred, "voter": voter, **more})

    async def vote_by_rule(self, id: str, *voters: str) -> None:
        """Let voters, who see nothing but the texts, prefer the warmer one of each item."""
        for item in await self.items(id):
            place = "left" if item["replies"]["left"].endswith("Fair winds.") else "right"
            for voter in voters:
                await self.vote(item, place, voter)

    async def ask(self, text: str, model: str = "desk@2") -> dict[str, Any]:
        """Ask as an application does, and return what its feedback names."""
        messages = [{"role": "user", "content": text}]
        body = await self.ok("POST", "/v1/chat/completions", json={"model": model, "messages": messages})
        return {"answer_id": body["id"], "messages": messages, "reply": body["choices"][0]["message"]["content"]}

    async def say(self, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.ok("POST", FEEDBACK, json={**answer, **more})
