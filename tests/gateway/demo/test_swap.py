import asyncio
from typing import Any

import msgspec
import pytest

from gateway.client import ClientError
from gateway.demo.assistants import promote
from gateway.demo.swap import SwapOutcome, swap_under_load
from gateway.demo.tenant_clients import TenantClient
from gateway.evaluation import Answer, Variant, ask
from gateway.progress import Progress
from tests.fakes.faults import Fault
from tests.fakes.vllm import FakeVllm

GOOD = SwapOutcome(30, [], {"rel_1": 20, "rel_2": 10}, 0, 0, 0.1, 0.2)


async def swap(account: TenantClient, both: Variant) -> SwapOutcome:
    releases = (await account.client.get(f"/api/assistants/{account.assistant}/releases"))["data"]
    fingerprints = {row["release"]: row["fingerprint"] for row in releases}
    with Progress().line("requests") as line:
        return await swap_under_load(account, both, fingerprints[1], (2, fingerprints[2]), line)


async def test_a_swap_loses_nothing(account: TenantClient, both: Variant) -> None:
    outcome = await swap(account, both)
    assert outcome.list_faults() == []
    assert len(outcome.fingerprints) == 2


async def test_requests_that_fail_during_a_swap_are_counted(
    account: TenantClient, both: Variant, engine: FakeVllm
) -> None:
    engine.script(None, None, Fault("cut", after=1))
    outcome = await swap(account, both)
    assert len(outcome.failed) == 1
    assert "1 of" in outcome.list_faults()[0]


async def test_a_request_that_was_under_way_when_the_change_began_may_get_either_release(
    account: TenantClient, both: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[asyncio.Event] = []

    async def slow(*arguments: Any, **options: Any) -> Answer:
        if not held:  # the first request leaves, and reaches the gateway only behind the change
            held.append(asyncio.Event())
            await held[0].wait()
        return await ask(*arguments, **options)

    async def changing(*arguments: Any) -> Any:
        done = await promote(*arguments)
        held[0].set()
        return done

    monkeypatch.setattr("gateway.demo.swap.ask", slow)
    monkeypatch.setattr("gateway.demo.swap.promote", changing)
    assert (await swap(account, both)).late == 0


async def test_an_answer_of_a_release_that_was_replaced_before_is_late(
    account: TenantClient, both: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pretend(*arguments: object) -> None:
        """Confirm a change that isn't made."""

    monkeypatch.setattr("gateway.demo.swap.promote", pretend)
    monkeypatch.setattr("gateway.demo.swap.roll_back", pretend)
    assert (await swap(account, both)).late > 0


async def test_a_request_that_dies_of_a_bug_ends_the_swap(
    account: TenantClient, both: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.demo.swap.ask", ask)
    timeout = asyncio.timeout(60)
    with pytest.raises(ZeroDivisionError):
        async with timeout:
            await swap(account, both)
    assert not timeout.expired()


async def test_a_change_that_fails_ends_the_requests(
    account: TenantClient, both: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def promote(*arguments: object) -> None:
        raise ClientError("The rollout was changed by somebody else.")

    monkeypatch.setattr("gateway.demo.swap.promote", promote)
    with pytest.raises(ClientError, match="somebody else"):
        await swap(account, both)
    assert not [task for task in asyncio.all_tasks() if "_Load" in getattr(task.get_coro(), "__qualname__", "")]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"failed": ["why"]}, "1 of 30 requests failed: why"),
        ({"foreign": 1}, "neither of the two releases"),
        ({"late": 1}, "had been replaced"),
        ({"fingerprints": {"rel_1": 30}}, "only one of the two releases"),
    ],
)
def test_a_swap_that_went_otherwise_says_how(change: dict[str, Any], fault: str) -> None:
    assert GOOD.list_faults() == []
    (text,) = msgspec.structs.replace(GOOD, **change).list_faults()
    assert fault in text


def test_a_swap_is_described() -> None:
    first, second = GOOD.describe().splitlines()
    assert first == "30 requests at concurrency 8: 0 failed; 20 by rel_1, 10 by rel_2"
    assert second == "promoted in 0.1 s, rolled back in 0.2 s"
