"""A gateway whose log can't be written: what it tells of goes on, and is answered as ever."""

import asyncio
import os
import signal

import pytest

from gateway.settings import Settings
from gateway.terminal import LogStream, say
from tests.fakes import faults
from tests.fakes.vllm import FakeVllm
from tests.gateway.gateway_process import gateway_process, make_tenant
from tests.ports import find_port

ASK = {"model": "base", "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_full_disk_of_the_log_changes_no_answer(settings: Settings, engine: FakeVllm) -> None:
    async with gateway_process(settings, find_port(), log="/dev/full") as (client, process):
        client.headers["authorization"] = f"Bearer {await make_tenant(client, 'kestrel')}"
        assert (await client.post("/v1/chat/completions", json=ASK)).status_code == 200
        engine.script(faults.status(500))
        failed = await client.post("/v1/chat/completions", json=ASK)  # which is logged
        assert (failed.status_code, failed.json()["error"]["code"]) == (502, "engine_refused")
        assert (await client.post("/v1/chat/completions", json=ASK)).status_code == 200
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


@pytest.mark.parametrize("place", ["/dev/full", "a pipe that nobody reads"])
def test_what_a_log_does_not_take_is_lost(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "/dev/full":
        descriptor = os.open(place, os.O_WRONLY)
    else:
        reading, descriptor = os.pipe()
        os.close(reading)
    with os.fdopen(descriptor, "w", buffering=1) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        assert LogStream().write("a line\n") == 7
        LogStream().flush()
        if place == "/dev/full":
            say("Braid is ready.")
        else:
            with pytest.raises(BrokenPipeError):
                say("Braid is ready.")
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)  # so that it can be closed
