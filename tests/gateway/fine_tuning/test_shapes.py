"""Training files and jobs in every shape that OpenAI's schema allows, as SDKs and exports write them."""

import json
from typing import Any

import pytest

from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import JOBS, ask, start, upload

USER = {"role": "user", "content": "Is the K2 in stock?"}
REPLY = {"role": "assistant", "content": "Seven are, in Bergen."}
SYSTEM = {"role": "system", "content": "You greet."}
GREETING = {"role": "assistant", "content": "Good morning!"}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "stock", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}}}]
SHAPES: dict[str, list[dict[str, Any]]] = {
    "weights 0 and 1": [USER, {**REPLY, "weight": 0}, USER, {**REPLY, "weight": 1}],
    "names": [{**USER, "name": "ingrid"}, {**REPLY, "name": "desk"}],
    "a developer's rule": [{"role": "developer", "content": "Be brief."}, USER, REPLY],
    "content as parts": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in (USER, REPLY)],
    "the assistant speaks first": [SYSTEM, GREETING, USER, REPLY],
    "the assistant speaks before anything": [GREETING, USER, REPLY],
    "nulls as an SDK dumps them": [USER, {**REPLY, "refusal": None, "audio": None, "function_call": None}],
    "all nulls": [{**USER, "name": None}, {**REPLY, "name": None, "weight": None, "tool_calls": None}],
}


def jsonl(*lines: dict[str, Any]) -> bytes:
    return rows(11) + b"\n" + b"\n".join(json.dumps(line).encode() for line in lines)


@pytest.mark.parametrize("prompt", [None, "house@1"])
@pytest.mark.case("ft-valid-shapes")
async def test_every_shape_of_messages_is_taken_at_upload_and_by_a_job(gateway: Gateway, prompt: str | None) -> None:
    client = await gateway.tenant("kestrel")
    await client.post("/api/prompts", json={"name": "house", "template": "You are the kettle desk."})
    data = jsonl(*({"messages": messages} for messages in SHAPES.values()))
    job = await start(client, data, braid={"prompt": prompt} if prompt else None)
    content = gateway.state.artifacts.locate_file(job["braid"]["rows"]).read_bytes()
    assert sum(bool(line) for line in content.splitlines()) == 11 + len(SHAPES)


@pytest.mark.case("ft-valid-shapes")
async def test_a_row_with_tools_is_refused_by_its_number_with_that_reason(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    calling = [
        USER,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "7"} | {"tool_call_id": "c"},
    ]
    data = jsonl({"messages": [*calling, REPLY], "tools": TOOLS}, {"messages": [USER, REPLY], "tools": TOOLS})
    answer = await client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", data)})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "Row 12: It has tools" in message
    assert "Row 13: It has tools" in message


@pytest.mark.case("ft-jsonl-odd-bytes")
async def test_odd_bytes_in_sound_rows_do_no_harm(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    odd = [
        {"messages": [USER, {**REPLY, "content": "First.\u2028Second.\u0085Third."}]},
        {"messages": [USER, {**REPLY, "content": "Tea’s ready 🫖 — 準備完了"}]},
    ]
    lines = [*rows(10).decode().split("\n"), *(json.dumps(row, ensure_ascii=not n) for n, row in enumerate(odd))]
    lines.append(json.dumps(odd[0], ensure_ascii=False))
    data = b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode()
    file = await upload(client, data)
    assert (await client.get(f"/v1/files/{file}/content")).content == data
    job = await start(client, training_file=file)
    content = gateway.state.artifacts.locate_file(job["braid"]["rows"]).read_bytes()
    assert [bool(line) for line in content.split(b"\n")][::2] == [True] * 13
    assert "First.\u2028Second.\u0085Third.".encode() in content


@pytest.mark.case("ft-job-nulls")
async def test_nulls_and_numbers_of_a_job_are_taken_as_sdks_send_them(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    names = ("validation_file", "suffix", "seed", "integrations", "metadata", "method", "hyperparameters", "braid")
    nulls: dict[str, Any] = dict.fromkeys(names)
    wanted = {"n_epochs": 1, "batch_size": "auto", "learning_rate_multiplier": "auto"}
    method = {"type": "supervised", "supervised": {"hyperparameters": wanted}}
    for fields, epochs in (({"method": method}, 1), ({"hyperparameters": {"n_epochs": 2}}, 2)):
        job = await start(client, **{**nulls, **fields})
        assert job["method"]["supervised"]["hyperparameters"]["n_epochs"] == epochs
        assert isinstance(job["seed"], int)
        done = (await client.post(f"{JOBS}/{job['id']}/cancel")).json()
        assert done["status"] == "cancelled"
    bad: list[dict[str, Any]] = [{"n_epochs": "3"}, {"n_epochs": 0}, {"learning_rate_multiplier": -1}]
    for hyperparameters in bad:
        assert (await ask(client, hyperparameters=hyperparameters)).status_code == 400
