"""The pinned `openai` package against the gateway: every route of `/v1`, every answer validated strictly."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
from openai.types.chat import ChatCompletion

from tests.architecture.source import ROOT
from tests.contract.openai.strict import EXTRAS, decode, find_problems
from tests.contract.openai.walk import FACT, Walk
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import Gateway

AREAS = (
    "models",
    "chat",
    "structured",
    "tools",
    "streams",
    "citations",
    "responses",
    "file_search",
    "errors",
    "files",
    "uploads",
    "embeddings",
    "vector_stores",
    "fine_tuning",
    "evals",
)


def reply(chat: Chat) -> str:
    structured = "response_format" in chat.body or "tools" in chat.body
    return json.dumps({"city": "Oslo"}) if structured else "It is 31 months [1], they say."


@pytest.fixture
async def walk(gateway: Gateway, engine: FakeVllm, background_worker: None) -> AsyncIterator[Walk]:
    """A tenant whose assistant `support` answers from one document."""
    engine.reply = reply
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    document = f"/api/vector_stores/{store}/documents/kettle.md"
    saved = await client.put(document, content=FACT, params={"wait": 10})
    assert saved.json()["status"] == "completed", saved.text
    await client.post("/api/assistants", json={"name": "support"})
    await client.post("/api/assistants/support/releases", json={"retrieval": {"vector_stores": [store]}})
    rollout = {"stages": [{"release": 1, "weight": 1}], "revision": 0}
    assert (await client.put("/api/assistants/support/rollout", json=rollout)).status_code == 200
    key = client.headers["authorization"].removeprefix("Bearer ")
    with Walk(f"{gateway.url}/v1", key, "support", engine.model) as started:
        yield started


async def test_every_route_answers_as_the_package_says(walk: Walk, gateway: Gateway, subtests: pytest.Subtests) -> None:
    for area in AREAS:
        with subtests.test(area):
            await asyncio.to_thread(getattr(walk, area))
    described = (await gateway.admin.get("/openapi.json")).json()["paths"]
    routes = [(method.upper(), path) for path, methods in described.items() for method in methods]
    missed = [route for route in routes if route[1].startswith("/v1/") and not _walked(route, walk.calls)]
    assert missed == []


def _walked(route: tuple[str, str], calls: set[tuple[str, str]]) -> bool:
    method, template = route
    path = re.compile(re.sub(r"\{\w+\}", "[^/]+", template))
    return any(method == called and path.fullmatch(where) for called, where in calls)


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
MESSAGE = {"role": "assistant", "content": "Hi", "refusal": None}
CHOICE = {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}
ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE], "usage": USAGE}


def test_a_right_answer_has_no_problems() -> None:
    assert find_problems(ChatCompletion, ANSWER) == []
    assert find_problems(ChatCompletion, {**ANSWER, "braid": {}}) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"created": "1"}, ".created: '1' is no int"),
        ({"created": True}, ".created: True is no int"),
        ({"created": 1.5}, ".created: 1.5 is no int"),
        ({"model": None}, ".model: None is no str"),
        ({"object": "chat"}, ".object: 'chat' is none of ('chat.completion',)"),
        ({"choices": {}}, ".choices: {} is no list"),
        ({"choices": [{**CHOICE, "stop_reason": None}]}, ".choices[0]: Choice has no member 'stop_reason'"),
        (
            {"usage": {"prompt_tokens": 1, "total_tokens": 2}},
            ".usage: 'completion_tokens' is missing",
        ),
        ({"prompt_logprobs": None}, ": ChatCompletion has no member 'prompt_logprobs'"),
    ],
)
def test_a_wrong_member_is_found(wrong: dict[str, object], problem: str) -> None:
    problems = find_problems(ChatCompletion, {**ANSWER, **wrong})
    assert any(one.startswith(problem) for one in problems)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1, "a": 2}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(AssertionError):
        decode(text)


def test_members_of_our_own_are_documented() -> None:
    table = (ROOT / "docs" / "api.md").read_text().partition("## Beyond OpenAI's members")[2]
    documented = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", table, re.MULTILINE))
    assert documented == {(model, name) for model, names in EXTRAS.items() for name in names}
