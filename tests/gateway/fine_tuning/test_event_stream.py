"""Events as a stream: each once, in order, to the end of the job; and from where a client was cut."""

import asyncio
import json
import time
from typing import Any, cast

import httpx2
import pytest
from sqlalchemy import update

from gateway.fine_tuning import event_stream
from gateway.fine_tuning.event_log import add_event
from gateway.fine_tuning.event_stream import EventStreams
from gateway.fine_tuning.routes import EventStreamResponse
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.settings import Settings
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import JOBS, ended, events, read_row, start
from tests.gateway.worker import working
from tests.waiting import until


async def read(client: httpx2.AsyncClient, job: str, **headers: str) -> list[tuple[str, Any]]:
    """Return the ids and events of a stream, to its end."""
    pairs: list[tuple[str, Any]] = []
    async with client.stream(
        "GET", f"{JOBS}/{job}/events", params={"stream": "true"}, headers=headers, timeout=60
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        id = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                id = value
            elif name == "data":
                pairs.append((id, value if value == "[DONE]" else json.loads(value)))
    return pairs


async def test_a_stream_has_each_event_once_and_ends_with_the_job(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short")
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    async with working(settings):
        stream = await read(client, job)
        assert (await ended(client, job))["status"] == "succeeded"
    listed = await events(client, job)
    assert stream[-1][1] == "[DONE]"
    assert {event["id"] for event in listed} == {id for id, _ in stream[:-1]}
    assert sorted((event for _, event in stream[:-1]), key=lambda event: event["id"]) == sorted(
        listed, key=lambda event: event["id"]
    )
    assert len(stream) == len(listed) + 1
    # A client that was cut goes on after the last one that it has.
    middle = stream[len(stream) // 2][0]
    rest = await read(client, job, **{"last-event-id": middle})
    assert [id for id, _ in rest[:-1]] == [id for id, _ in stream[:-1] if id > middle]
    assert (await client.get(f"{JOBS}/{job}/events", params={"stream": "false"})).json()["object"] == "list"


async def test_a_stream_and_a_list_have_all_events_in_order_while_the_clock_goes_back(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a machine finds the right time, and where a worker's clock is behind the gateway's."""
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short")
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    right, right_ns, back = time.time, time.time_ns, [600.0]
    monkeypatch.setattr(time, "time", lambda: right() - back[0])
    monkeypatch.setattr(time, "time_ns", lambda: right_ns() - int(back[0] * 1e9))

    async def turn_back() -> None:
        while True:
            await asyncio.sleep(0.5)
            back[0] += 120.0

    async with working(settings):
        turning = asyncio.create_task(turn_back())
        stream = await read(client, job)
        turning.cancel()
        listed = await events(client, job)
    assert {event["id"] for event in listed} == {id for id, _ in stream[:-1]}
    steps = [event["data"]["step"] for event in listed if "total_steps" in event["data"]]
    assert steps == sorted(steps)
    assert [event["id"] for event in listed] == sorted(event["id"] for event in listed)


async def test_a_stream_is_only_for_its_tenant(gateway: Gateway) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    job = (await start(kestrel))["id"]
    assert (await harbor.get(f"{JOBS}/{job}/events", params={"stream": "true"})).status_code == 404
    # Behind what is no event nothing would come, and the client would wait for the job's end.
    for stream in ("true", "false"):
        answer = await kestrel.get(f"{JOBS}/{job}/events", params={"stream": stream, "after": "the-last-one"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


async def test_an_event_is_one_line_also_for_clients_that_know_separators_of_unicode(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    async with gateway.state.database.begin() as session:
        add_event(session, (await read_row(gateway, job)).tenant_id, job, "One\u2028two\u0085three")
    assert (await client.post(f"{JOBS}/{job}/cancel")).status_code == 200
    assert "One\u2028two\u0085three" in [event["message"] for _, event in (await read(client, job))[:-1]]


async def test_streams_are_bounded_break_the_silence_and_end_with_the_process(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(event_stream, "_POLL_SECONDS", 0.05)
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    tenant = (await read_row(gateway, job)).tenant_id
    state = gateway.state
    streams = EventStreams(state.database, state.drain, most=1)
    monkeypatch.setitem(cast("dict[Any, Any]", state.parts), EventStreams, streams)
    response = EventStreamResponse(streams.open(tenant, job, None))
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    sending = asyncio.create_task(response(scope, receive, send))
    await until(lambda: any(part.startswith(b":") for part in sent))
    refused = await client.get(f"{JOBS}/{job}/events", params={"stream": "true"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
    # What happens meanwhile comes within a moment.
    async with state.database.begin() as session:
        add_event(session, tenant, job, "Late")
    await until(lambda: any(b"Late" in part for part in sent))
    state.drain.stopping = True
    async with asyncio.timeout(5):
        await sending
    state.drain.stopping = False
    assert not any(b"[DONE]" in part for part in sent)
    async with state.database.begin() as session:
        await session.execute(update(FineTuningJobRow).values(status="cancelled"))
    assert (await read(client, job))[-1][1] == "[DONE]"
