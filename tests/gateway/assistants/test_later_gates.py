"""A release that serves already when its gate fails: what may become of its share of the traffic."""

import time

import httpx2
import pytest

from gateway.assistants.gate_verdict import GateResult, record_gate
from gateway.assistants.service import find_assistant
from gateway.tenants.repository import find_tenant
from tests.fakes.passages import FakePassages
from tests.gateway.conftest import Gateway, on_both_databases

ROLLOUT = "/api/assistants/support/rollout"


async def fail_gate(gateway: Gateway, number: int) -> None:
    """Record that a release's gate has failed now."""
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        assistant = await find_assistant(session, tenant.id, "support")
        assert assistant is not None
        result = GateResult(False, int(time.time()), ("style",), rows=50)
        await record_gate(session, tenant.id, assistant.id, number, result)


@pytest.fixture
async def client(gateway: Gateway, passages: FakePassages) -> httpx2.AsyncClient:
    """A tenant with two releases that serve a half each, of which the second's gate fails then."""
    client = await gateway.tenant("kestrel")
    await client.post("/api/assistants", json={"name": "support"})
    for number in (1, 2):
        answer = await client.post("/api/assistants/support/releases", json={"sampling": {"seed": number}})
        assert answer.json()["release"] == number
    assert (await put(client, (50, 50), 0)).status_code == 200
    await fail_gate(gateway, 2)
    return client


async def put(client: httpx2.AsyncClient, weights: tuple[int, int], revision: int, **more: object) -> httpx2.Response:
    stages = [{"release": number, "weight": weight} for number, weight in enumerate(weights, 1)]
    return await client.put(ROLLOUT, json={"stages": stages, "revision": revision, **more})


@on_both_databases
async def test_a_release_whose_gate_fails_later_keeps_its_share_or_loses_some(client: httpx2.AsyncClient) -> None:
    for revision, weights in enumerate(((50, 50), (5, 5), (60, 40), (100, 0)), 1):
        answer = await put(client, weights, revision)
        assert (answer.status_code, answer.json()["forced"]) == (200, []), answer.text
    assert (await client.get(ROLLOUT)).json()["gates"] == {"1": "none", "2": "failed"}
    back = await put(client, (60, 40), 5)  # it serves nobody by now
    assert (back.status_code, back.json()["error"]["code"]) == (409, "gate_failed")


@pytest.mark.parametrize("weights", [(49, 51), (0, 100)])
async def test_a_release_whose_gate_fails_later_gets_more_only_by_force_and_with_a_reason(
    client: httpx2.AsyncClient, weights: tuple[int, int]
) -> None:
    plain = await put(client, weights, 1)
    assert (plain.status_code, plain.json()["error"]["code"]) == (409, "gate_failed")
    assert "support@2 failed its gate: style." in plain.json()["error"]["message"]
    without_force = await put(client, weights, 1, reason="It is urgent.")
    assert without_force.status_code in (400, 409)
    without_reason = await put(client, weights, 1, force=True)
    assert (without_reason.status_code, "reason" in without_reason.json()["error"]["message"]) == (400, True)
    assert (await client.get(ROLLOUT)).json()["revision"] == 1
    forced = await put(client, weights, 1, force=True, reason="It is urgent.")
    assert (forced.status_code, [one["releases"] for one in forced.json()["forced"]]) == (200, [[2]])
