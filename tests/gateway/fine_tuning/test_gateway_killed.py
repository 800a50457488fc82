"""A gateway that is killed while a job of it trains: the training, its log and its stream go on with the next one."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.settings import Settings
from tests.gateway.gateway_process import gateway_process, make_tenant
from tests.gateway.tuning import JOBS, ended, events, retrieve, start
from tests.gateway.worker import working
from tests.ports import find_port

pytestmark = pytest.mark.e2e

STEPS = 500


async def read_stream(client: httpx2.AsyncClient, job: str, after: str, most: int | None = None) -> list[Any]:
    """Read a job's stream to its end, or until there are `most` events of steps."""
    read: list[Any] = []
    headers = {"last-event-id": after} if after else {}
    path, params = f"{JOBS}/{job}/events", {"stream": "true"}
    async with client.stream("GET", path, params=params, headers=headers) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "data" and value != "[DONE]":
                read.append(json.loads(value))
            if value == "[DONE]" or (most and len(list_steps(read)) >= most):
                return read
    raise AssertionError("the stream ended without saying so")


def list_steps(read: list[Any]) -> list[int]:
    return [event["data"]["step"] for event in read if event["message"].startswith("Step ")]


async def test_a_job_and_its_stream_go_on_when_the_gateway_is_killed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_one_is_up = tmp_path / "next-one-is-up"
    monkeypatch.setenv("BRAID_TEST_TRAINER", f"held:{next_one_is_up}")
    port = find_port()
    async with working(settings):
        async with gateway_process(settings, port) as (client, first):
            key = f"Bearer {await make_tenant(client, 'kestrel')}"
            client.headers["authorization"] = key
            job = (await start(client, hyperparameters={"n_epochs": 10, "batch_size": 1}))["id"]
            before = await read_stream(client, job, "", most=5)
            async with client.stream("GET", f"{JOBS}/{job}/events", params={"stream": "true"}) as cut:
                first.kill()
                assert await first.wait() == -signal.SIGKILL
                with pytest.raises(httpx2.TransportError):
                    await cut.aread()
        async with gateway_process(settings, port) as (client, _):
            client.headers["authorization"] = key
            shown = await retrieve(client, job)
            assert shown["status"] == "running"
            assert shown["estimated_finish"]
            next_one_is_up.touch()
            after = await read_stream(client, job, before[-1]["id"])
            done = await ended(client, job)
            log = await events(client, job)
    assert done["status"] == "succeeded", done
    assert list_steps(before + after) == list(range(1, STEPS + 1))
    assert sorted(event["id"] for event in before + after) == sorted(event["id"] for event in log)
    messages = [event["message"] for event in log]
    assert messages.count("Fine-tuning job started") == 1
    assert not [message for message in messages if "interrupted" in message or "goes on" in message]
