"""Jobs that are paused and resumed at any time: nobody works on them meanwhile, and nothing that was done is lost."""

import csv
from typing import Any

import httpx2
import pytest

from gateway.fine_tuning.lifecycle import TRANSITIONS, FineTuningStatus, StatusForbidden, move
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.settings import Settings
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import (
    JOBS,
    adapters,
    ended,
    list_messages,
    read_row,
    retrieve,
    start,
    until_trains,
    work_folders,
)
from tests.gateway.worker import working
from tests.waiting import until
from training.spec import Recipe

STEPS = Recipe.for_rows(50).count_steps(50)


async def post(client: httpx2.AsyncClient, job: str, verb: str) -> httpx2.Response:
    return await client.post(f"{JOBS}/{job}/{verb}")


async def ask_for(client: httpx2.AsyncClient, job: str, verb: str) -> dict[str, Any]:
    answer = await post(client, job, verb)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_stopped(settings: Settings, job: str) -> None:
    """Wait until no worker has the job."""

    async def is_stopped() -> bool:
        return not work_folders(settings, job)

    await until(is_stopped)


async def test_a_running_job_is_paused_and_goes_on_where_it_was(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        paused = await ask_for(client, job, "pause")
        assert (paused["status"], paused["estimated_finish"], paused["finished_at"]) == ("paused", None, None)
        assert (await ask_for(client, job, "pause"))["status"] == "paused"
        await until_stopped(settings, job)
        row = await read_row(gateway, job)
        assert row.state_step
        assert row.state_digest
        assert (settings.artifacts / "files" / row.state_digest).stat().st_size == row.state_bytes
        # It takes nobody's place: another of the same tenant is trained meanwhile.
        assert (await ended(client, (await start(client, rows(10)))["id"]))["status"] == "succeeded"
        assert (await retrieve(client, job))["status"] == "paused"
        assert (await ask_for(client, job, "resume"))["status"] == "queued"
        assert (await ask_for(client, job, "resume"))["status"] in ("queued", "running")
        done = await ended(client, job)
    assert done["status"] == "succeeded"
    messages = await list_messages(client, job)
    for message in ("The job was paused", "The job was resumed, and waits for its turn"):
        assert messages.count(message) == 1
    assert f"The training goes on after step {row.state_step}" in messages
    assert [message.split("/")[0] for message in messages if message.startswith("Step ")] == [
        f"Step {number}" for number in range(1, STEPS + 1)
    ]
    content = (await client.get(f"/v1/files/{done['result_files'][0]}/content")).text
    assert [line["step"] for line in csv.DictReader(content.splitlines())] == [
        str(number) for number in range(1, STEPS + 1)
    ]
    assert (await read_row(gateway, job)).state_digest is None


async def test_a_queued_job_is_paused_and_resumed(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    first, second = [(await start(client, seed=seed))["id"] for seed in (1, 2)]
    await ask_for(client, first, "pause")
    async with working(settings):
        assert (await ended(client, second))["status"] == "succeeded"
        assert (await retrieve(client, first))["status"] == "paused"
        await ask_for(client, first, "resume")
        assert (await ended(client, first))["status"] == "succeeded"
    assert (await list_messages(client, first)).count("Fine-tuning job started") == 1


async def test_a_job_that_is_resumed_at_once_goes_on(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        for verb in ("pause", "resume", "pause", "resume"):
            await ask_for(client, job, verb)
        assert (await ended(client, job))["status"] == "succeeded"
    (adapter,) = await adapters(client)
    assert adapter["status"] == "ready"


async def test_a_paused_job_can_be_cancelled_and_leaves_no_state(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        await ask_for(client, job, "pause")
        await until_stopped(settings, job)
        assert (await ask_for(client, job, "cancel"))["status"] == "cancelled"
        row = await read_row(gateway, job)
        assert (row.state_digest, row.state_bytes, row.state_step) == (None, 0, None)
        for verb in ("pause", "resume", "cancel"):
            answer = await post(client, job, verb)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "job_ended")
            assert verb in answer.json()["error"]["message"]
    assert (await post(client, "ftjob-none", "pause")).status_code == 404


async def test_a_tenant_pauses_only_its_own(gateway: Gateway) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    job = (await start(kestrel))["id"]
    for verb in ("pause", "resume"):
        assert (await post(harbor, job, verb)).status_code == 404


def test_a_job_takes_only_the_ways_that_there_are() -> None:
    for before in FineTuningStatus:
        for after in FineTuningStatus:
            row = FineTuningJobRow(id="ftjob-1", status=before.value)
            if after in TRANSITIONS[before]:
                move(row, after)
                assert row.status == after
            else:
                with pytest.raises(StatusForbidden):
                    move(row, after)
