"""Trainings on a Ray cluster, through the whole road; the cluster is a fake that runs commands here."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.adapters import executor_wait, ray_executor
from gateway.adapters.executor import ExecutorAway
from gateway.adapters.ray_executor import RayExecutor, RayTimings
from gateway.adapters.ray_jobs import RayJob, RayJobs
from gateway.composition import open_worker
from gateway.jobs import JobFailed
from gateway.settings import Settings, SettingsError
from tests.fakes.ray import FakeRay, FakeRayJob
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import (
    JOBS,
    adapters,
    ended,
    list_messages,
    read_row,
    retrieve,
    start,
    until_loaded,
    until_trains,
    work_folders,
)
from tests.gateway.worker import worker_process, working
from tests.waiting import until
from training.spec import Recipe

QUICK = RayTimings(beat=0.2, look=0.1, read=0.05, patience=1.0, grace=5.0)
TOKEN = "a-token-of-ray"
STEPS = Recipe.for_rows(50).count_steps(50)


@pytest.fixture
async def ray() -> AsyncIterator[FakeRay]:
    async with FakeRay(TOKEN) as fake:
        yield fake


@pytest.fixture
def settings(settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(ray_executor, "RayTimings", lambda: QUICK)
    monkeypatch.setattr(ray_executor, "_DELAY_SECONDS", 0.2)
    changes = {"training_executor": "ray", "ray_address": ray.url, "ray_token": SecretStr(TOKEN), "ray_cpus": 2}
    return settings.model_copy(update=changes)


def only(ray: FakeRay) -> FakeRayJob:
    (job,) = ray.jobs.values()
    return job


async def until_saved(gateway: Gateway, job: str) -> None:
    async def is_saved() -> bool:
        return (await read_row(gateway, job)).state_step is not None

    await until(is_saved)


def is_alive(job: FakeRayJob) -> bool:
    assert job.process is not None
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(job.process.pid).status() != psutil.STATUS_ZOMBIE
    return False


async def test_a_cluster_trains_and_the_adapter_answers(gateway: Gateway, settings: Settings, ray: FakeRay) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        done = await ended(client, (await start(client, suffix="voice"))["id"])
        assert done["status"] == "succeeded", done
        await until_loaded(client, done["fine_tuned_model"])
    job = only(ray)
    assert (job.status, job.exit_code) == ("SUCCEEDED", 0)
    assert (job.request["entrypoint_num_cpus"], job.request["entrypoint_num_gpus"]) == (2, 1.0)
    assert job.request["runtime_env"] == {"env_vars": {"OMP_NUM_THREADS": "2"}}
    assert done["id"] in job.request["metadata"]["braid"]
    assert "kestrel" not in job.request["entrypoint"]
    messages = await list_messages(client, done["id"])
    assert [message.split("/")[0] for message in messages if message.startswith("Step ")] == [
        f"Step {number}" for number in range(1, STEPS + 1)
    ]
    assert not work_folders(settings, done["id"])
    assert not list((settings.home / "logs" / "training").iterdir())


async def test_a_pause_saves_the_state_and_another_worker_goes_on(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        assert (await client.post(f"{JOBS}/{job}/pause")).status_code == 200
        await until(lambda: not work_folders(settings, job))
    step = (await read_row(gateway, job)).state_step
    assert step
    assert only(ray).status in ("SUCCEEDED", "STOPPED")  # it was about to end anyway
    async with working(settings):
        assert (await client.post(f"{JOBS}/{job}/resume")).status_code == 200
        assert (await ended(client, job))["status"] == "succeeded"
    assert len(ray.jobs) == 2
    assert f"The training goes on after step {step}" in await list_messages(client, job)


async def test_a_cancelled_job_is_stopped_on_the_cluster(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        assert (await client.post(f"{JOBS}/{job}/cancel")).status_code == 200
        # The trainer may have read that it is to stop before the cluster is asked.
        await until(lambda: only(ray).end is not None)
        await until(lambda: not is_alive(only(ray)))
    assert await adapters(client) == []


async def test_a_trainer_whose_supervisor_died_ends_and_the_job_goes_on_elsewhere(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        first = only(ray)
        monkeypatch.setenv("BRAID_TEST_TRAINER", "")
        ray.lose_supervisor(first)
        await until(lambda: not is_alive(first))
        done = await ended(client, job)
    assert done["status"] == "succeeded", done
    assert len(ray.jobs) == 2
    messages = await list_messages(client, job)
    assert any(message.startswith(("The training goes on", "The training was interrupted")) for message in messages)


async def test_a_trainer_ends_when_its_worker_is_gone(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a worker that was killed is removed by the next one, which begins anew."""
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        (folder,) = work_folders(settings, job)
        with monkeypatch.context() as patch:
            patch.setattr(ray_executor, "write_control", lambda *_: None)  # as of a worker that is gone
            (folder / "control.json").unlink()
            ray.down = True  # nothing but the file ends it
            await until(lambda: not is_alive(only(ray)))
        monkeypatch.setenv("BRAID_TEST_TRAINER", "")
        ray.down = False
        assert (await ended(client, job))["status"] == "succeeded"


async def test_a_killed_workers_trainer_ends_and_the_next_worker_goes_on(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("EXECUTOR", "ray"), ("ADDRESS", ray.url), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"BRAID_{'TRAINING' if name == 'EXECUTOR' else 'RAY'}_{name}", value)
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    async with worker_process(settings) as first:
        await until_saved(gateway, job)
        first.kill()
        await first.wait()
    assert is_alive(only(ray))
    monkeypatch.setenv("BRAID_TEST_TRAINER", "")
    async with working(settings):
        assert (await ended(client, job))["status"] == "succeeded"
    assert not is_alive(next(iter(ray.jobs.values())))
    assert any("goes on after step" in message for message in await list_messages(client, job))


async def test_a_cluster_that_refuses_is_waited_for_and_told_once(
    gateway: Gateway, settings: Settings, ray: FakeRay, caplog: pytest.LogCaptureFixture
) -> None:
    client = await gateway.tenant("kestrel")
    ray.token = "another"
    job = (await start(client))["id"]

    async def waits() -> bool:
        return any(message.startswith("The training waits. ") for message in await list_messages(client, job))

    async with working(settings):
        await until(waits)
        assert (await retrieve(client, job))["status"] == "running"
        ray.token = TOKEN
        assert (await ended(client, job))["status"] == "succeeded"
    messages = await list_messages(client, job)
    waiting = [message for message in messages if message.startswith("The training waits. ")]
    assert waiting == ["The training waits. The training can't be handed over. The Ray cluster refuses the token."]
    assert not [message for message in messages if "interrupted" in message]
    assert TOKEN not in caplog.text


async def test_a_job_that_the_cluster_has_lost_waits_and_goes_on_however_often(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = (await start(client))["id"]
    lost: list[FakeRayJob] = []
    async with working(settings):
        for mode in ("slow", "slow", ""):
            await until(lambda: bool(ray.jobs) and only(ray).process is not None)
            monkeypatch.setenv("BRAID_TEST_TRAINER", mode)
            lost.append(ray.jobs.popitem()[1])
            await until(lambda: not is_alive(lost[-1]))
        done = await ended(client, job)
    assert done["status"] == "succeeded", done
    messages = await list_messages(client, job)
    waits = [message for message in messages if message.startswith("The training waits. ")]
    assert waits
    assert {wait.split(". ", 1)[1] for wait in waits} == {
        "The run on the Ray cluster was given up. The Ray cluster doesn't know the job."
    }
    assert not [message for message in messages if "memory ran out" in message]


async def test_a_cluster_that_is_silent_for_too_long_delays_the_job(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", f"queued:{settings.home / 'never'}")
    job = (await start(client))["id"]
    async with working(settings):
        await until(lambda: bool(ray.jobs) and only(ray).status == "RUNNING")
        monkeypatch.setenv("BRAID_TEST_TRAINER", "")
        ray.down = True

        async def waits() -> bool:
            return any("Nothing was heard of it for 1 seconds" in text for text in await list_messages(client, job))

        await until(waits)
        ray.down = False
        assert (await ended(client, job))["status"] == "succeeded"


async def test_a_cluster_that_stays_away_fails_the_job_in_the_end(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_wait, "_LONGEST_WAIT", 0.5)
    ray.down = True
    client = await gateway.tenant("kestrel")
    async with working(settings):
        done = await ended(client, (await start(client))["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "executor_away")
    assert "memory" not in done["error"]["message"]


async def test_a_run_that_speaks_is_not_given_up_for_the_dashboard(ray: FakeRay, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nfor one in 1 2 3 4 5 6 7; do echo $one; sleep 0.3; done\n")
    program.chmod(0o755)
    async with RayJobs(ray.url, TOKEN) as jobs:
        executor = RayExecutor(jobs, program, cpus=1, gpus=0.0, timings=QUICK)
        async with executor.open(("run",), tmp_path, tmp_path / "log") as execution, asyncio.timeout(20):
            assert await execution.read_line() == b"1\n"
            ray.down = True
            lines = [await execution.read_line() for _ in range(6)]
            ray.down = False
            assert (lines[-1], await execution.read_line(), await execution.wait()) == (b"7\n", b"", 0)


async def test_pauses_for_an_executor_double_and_are_bounded() -> None:
    claim = SimpleNamespace(state={"waits": "for it"})

    async def save(state: dict[str, Any]) -> None:
        claim.state = state

    claim.save = save
    away = ExecutorAway("It is away.", seconds=30.0)
    delays = [await executor_wait.prolong_wait(cast("Any", claim), away) for _ in range(6)]
    assert [delay.seconds for delay in delays] == [30, 60, 120, 240, 300, 300]
    assert claim.state["waits"] == "for it"


async def test_a_wait_for_an_executor_ends_after_a_day_of_pauses_and_by_no_clock_that_jumps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A wait of an older version, in which a Unix time stood.
    claim = SimpleNamespace(state={"executor_wait": {"since": 1.0, "pause": 300.0}})

    async def save(state: dict[str, Any]) -> None:
        claim.state = state

    claim.save = save
    away, right, waited = ExecutorAway("It is away.", seconds=30.0), time.time, 0.0
    for turn in range(24 * 12 + 1):
        monkeypatch.setattr(time, "time", lambda turn=turn: right() + (-1) ** turn * 400 * 86_400)
        waited += (await executor_wait.prolong_wait(cast("Any", claim), away)).seconds
    assert waited > 24 * 3600
    with pytest.raises(JobFailed, match="24 hours"):
        await executor_wait.prolong_wait(cast("Any", claim), away)


async def test_a_job_that_the_cluster_has_no_room_for_waits(gateway: Gateway, settings: Settings, ray: FakeRay) -> None:
    client = await gateway.tenant("kestrel")
    ray.unschedulable = True
    job = (await start(client))["id"]
    async with working(settings):
        await until(lambda: len(ray.jobs) >= 2)
        ray.unschedulable = False
        assert (await ended(client, job))["status"] == "succeeded"
    assert any("couldn't begin the training" in message for message in await list_messages(client, job))


@pytest.mark.parametrize(("mode", "code"), [("failed", "loss_diverged"), ("status", "trainer_crashed")])
async def test_a_trainer_that_fails_says_why(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch, mode: str, code: str
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", mode)
    async with working(settings):
        done = await ended(client, (await start(client))["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", code)
    assert str(settings.home) not in done["error"]["message"]
    if mode == "status":
        assert "no host" in done["error"]["message"]  # the end of the trainer's own log


async def test_an_interpreter_that_is_not_there_is_told_by_rays_log(
    gateway: Gateway, settings: Settings, ray: FakeRay
) -> None:
    client = await gateway.tenant("kestrel")
    missing = settings.model_copy(update={"model_python": settings.home / "nowhere" / "python"})
    async with working(missing):
        done = await ended(client, (await start(client))["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "trainer_crashed")
    assert "not found" in done["error"]["message"]


async def test_a_killed_trainer_is_tried_again(
    gateway: Gateway, settings: Settings, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        process = only(ray).process
        assert process is not None
        monkeypatch.setenv("BRAID_TEST_TRAINER", "")
        os.kill(process.pid, signal.SIGKILL)
        assert (await ended(client, job))["status"] == "succeeded"
    assert [one.exit_code for one in ray.jobs.values()] == [-signal.SIGKILL, 0]


async def run_false(ray: FakeRay, work: Path, errors: Path) -> int:
    """Return the status of a run whose program ends with 1."""
    async with RayJobs(ray.url, TOKEN) as jobs:
        executor = RayExecutor(jobs, Path("/bin/false"), cpus=1, gpus=0.0, timings=QUICK)
        async with executor.open(("run",), work, errors) as execution, asyncio.timeout(20):
            while await execution.read_line():
                pass
            return await execution.wait()


async def test_a_run_whose_log_cannot_be_written_ends(ray: FakeRay, tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert await run_false(ray, tmp_path, tmp_path / "away" / "run.log") > 0
    assert only(ray).status == "FAILED"
    assert "ray_job_note_lost" in [entry["event"] for entry in logs]


async def test_a_run_that_cannot_be_followed_is_over(
    ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = RayJobs.get

    async def fail_once(jobs: RayJobs, id: str) -> RayJob:
        monkeypatch.setattr(RayJobs, "get", get)
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(RayJobs, "get", fail_once)
    with capture_logs() as logs:
        with pytest.raises(ExecutorAway, match="can't be followed"):
            await run_false(ray, tmp_path, tmp_path / "run.log")
    assert "ray_job_not_followed" in [entry["event"] for entry in logs]


async def test_a_cluster_without_an_address_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="BRAID_RAY_ADDRESS is empty"):
        async with open_worker(settings.model_copy(update={"ray_address": ""})):
            pass
