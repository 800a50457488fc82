"""A worker process that is killed at each step of a fine-tuning job: nothing is lost, left over or half-made."""

import signal

import psutil
import pytest

from gateway.settings import Settings
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import (
    adapters,
    ended,
    events,
    loads,
    read_row,
    retrieve,
    start,
    until_loaded,
    until_trains,
    work_folders,
)
from tests.gateway.worker import worker_process
from tests.waiting import until
from training.spec import Recipe

pytestmark = pytest.mark.e2e

STEPS_OF_50 = Recipe.for_rows(50).count_steps(50)

AGAIN = {
    "claimed": "",
    "trainer-started": "The training was interrupted and starts over",
    "trainer-event": "The training was interrupted and starts over",
    "state-stored": "The training was interrupted and starts over",
    "state-kept": "The training goes on after step ",
    "adapter-made": f"The training goes on after step {STEPS_OF_50 - STEPS_OF_50 % 2}",
    "adapter-judged": f"The training goes on after step {STEPS_OF_50 - STEPS_OF_50 % 2}",
}
"""The steps before the weights are stored, and what the owner is told when the next worker has the job."""
STEPS = (*AGAIN, "adapter-stored", "adapter-named", "adapter-verified", "done", "ended")


def trainers(settings: Settings) -> list[int]:
    """Processes that run this test's trainer."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if str(settings.model_python) in line and "training" in line and process.info["status"] != "zombie":
            if "tests.gateway.worker" not in line:
                found.append(process.pid)
    return found


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_killed_at_any_step_leaves_a_job_that_another_finishes(
    gateway: Gateway, settings: Settings, engine: FakeVllm, step: str
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, suffix="voice")
    async with worker_process(settings, failpoint=step) as first:
        assert await first.wait() == -signal.SIGKILL
    await until(lambda: not trainers(settings))
    between = await retrieve(client, job["id"])
    done_already = step in ("done", "ended")
    assert between["status"] == ("succeeded" if done_already else "queued" if step == "claimed" else "running")
    assert (between["fine_tuned_model"] is not None) is done_already
    ready = [row for row in await adapters(client) if row["status"] == "ready"]
    assert bool(ready) is done_already
    if step in (*AGAIN, "adapter-stored"):
        assert loads(engine) == []
    async with worker_process(settings):
        done = await ended(client, job["id"])
        assert done["status"] == "succeeded", done
        await until_loaded(client, done["fine_tuned_model"])
    messages = [event["message"] for event in await events(client, job["id"])]
    assert messages.count("Fine-tuning job started") == 1
    told = [message for message in messages if "starts over" in message or "goes on" in message]
    assert len(told) == bool(AGAIN.get(step))
    assert all(message.startswith(AGAIN[step]) for message in told)
    # Each step has one event, though some were done twice.
    assert [message.split("/")[0] for message in messages if message.startswith("Step ")] == [
        f"Step {number}" for number in range(1, STEPS_OF_50 + 1)
    ]
    assert messages.count("The job has successfully completed") == 1
    assert len(done["result_files"]) == 1
    (row,) = await adapters(client)
    assert (row["status"], row["model"]) == ("ready", done["fine_tuned_model"])
    assert not work_folders(settings, job["id"])
    assert not list((settings.artifacts / "incoming").iterdir())
    assert (await read_row(gateway, job["id"])).state_digest is None


@pytest.mark.parametrize("mode", ["slow", "deaf"])
async def test_a_killed_worker_leaves_no_trainer(gateway: Gateway, settings: Settings, mode: str) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with worker_process(settings, trainer=mode) as first:
        await until_trains(client, job["id"])
        assert trainers(settings)
        first.kill()
        await first.wait()
    await until(lambda: not trainers(settings))


async def test_a_worker_killed_in_each_attempt_fails_the_job(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    for _ in range(3):
        async with worker_process(settings, failpoint="trainer-started") as doomed:
            assert await doomed.wait() == -signal.SIGKILL
    async with worker_process(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "failed"
    assert "died in each of 3 attempts" in done["error"]["message"]
    assert not work_folders(settings, job["id"])
    assert await adapters(client) == []


async def test_states_that_come_faster_than_they_are_kept_lose_no_step(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with worker_process(settings, failpoint="adapter-made", trainer="hasty") as first:
        assert await first.wait() == -signal.SIGKILL
    async with worker_process(settings, trainer="hasty"):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done
    messages = [event["message"] for event in await events(client, job["id"])]
    assert [message.split("/")[0] for message in messages if message.startswith("Step ")] == [
        f"Step {number}" for number in range(1, STEPS_OF_50 + 1)
    ]


async def test_a_worker_told_to_stop_ends_its_trainer(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with worker_process(settings, trainer="slow") as first:
        await until_trains(client, job["id"])
        first.terminate()
        assert await first.wait() == 0
    assert not trainers(settings)
    assert (await retrieve(client, job["id"]))["status"] == "running"
    async with worker_process(settings):
        assert (await ended(client, job["id"]))["status"] == "succeeded"
