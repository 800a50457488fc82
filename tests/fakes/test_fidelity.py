"""The fake answers as vLLM did when `capture.py` asked it: same status, fields, order and nulls."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.capture import ask, cases
from tests.fakes.vllm import Chat, FakeVllm

CAPTURED = Path(__file__).with_name("captured")


def shape(value: Any) -> Any:
    """What must agree: names in order, types, nulls, and short words such as roles; not texts, ids and figures."""
    if isinstance(value, dict) and [type(inner) for inner in value.values()] == [float]:
        return "TOKEN AND NUMBER"
    if isinstance(value, dict):
        return [(re.sub(r"^\d+$", "TOKEN", name), shape(inner)) for name, inner in value.items() if name != "bytes"]
    if isinstance(value, list):
        shapes = [shape(inner) for inner in value]
        return shapes[:1] + [inner for inner, before in zip(shapes[1:], shapes, strict=False) if inner != before]
    if isinstance(value, bool | str) or value is None:
        return value if not isinstance(value, str) or value in WORDS else "TEXT"
    return "NUMBER"


WORDS = {"assistant", "chat.completion", "chat.completion.chunk", "text_completion", "list", "model", "vllm"}
WORDS |= {"model_permission", "*", "stop", "length", "NotFoundError", "BadRequestError", "InvalidUserInput", "model"}
WORDS |= {"input_tokens", "cache_salt", "max_tokens", "function", "tool_calls", "find_city"}


def read(content_type: str, body: str) -> Any:
    if content_type.startswith("text/event-stream"):
        events = body.split("\n\n")
        assert events.pop() == ""
        assert events[-1] == "data: [DONE]"
        found = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
        # Two choices of one request end when they end: only the order within each is fixed.
        return sorted(found, key=lambda event: event["choices"][0]["index"] if event["choices"] else 99)
    return json.loads(body) if content_type == "application/json" else body


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, bytes]]:
    folder = str(tmp_path_factory.mktemp("style"))

    async def collect() -> dict[str, tuple[int, str, bytes]]:
        async with FakeVllm(reply=lambda chat: reply(chat), max_model_len=8192) as fake:
            found = {}
            for name, (method, path, body) in cases("base", "style", folder).items():
                found[name] = await asyncio.to_thread(ask, fake.url, method, path, body)
            return found

    return asyncio.run(collect())


def reply(chat: Chat) -> str:
    return "One colour is not the other" if "e" not in (chat.body.get("stop") or []) else "One colour"


@pytest.mark.parametrize("name", sorted(file.stem for file in CAPTURED.glob("*.json")))
def test_the_fake_answers_as_the_engine_was_captured(name: str, answers: dict[str, tuple[int, str, bytes]]) -> None:
    real = json.loads((CAPTURED / f"{name}.json").read_text())
    status, content_type, body = answers[name]
    assert status == real["status"]
    assert content_type == real["content_type"]
    fake_text, real_text = body.decode(), real["body"]
    assert shape(read(content_type, fake_text)) == shape(read(content_type, real_text))
    assert (": " in fake_text.partition('"')[2][:40]) == (": " in real_text.partition('"')[2][:40]), "separators"
