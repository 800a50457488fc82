"""The same road on a real Ray cluster of this machine, which the test starts and stops; the trainer is the fake one.

uv venv /tmp/ray && uv pip install --python /tmp/ray/bin/python 'ray[default]==2.60.0'
BRAID_TEST_RAY=/tmp/ray/bin/ray python -m pytest tests/gateway/fine_tuning/test_real_ray.py
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from gateway.settings import Settings
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import JOBS, ended, events, read_row, start, until_loaded, until_trains, work_folders
from tests.gateway.worker import working
from tests.ports import find_port
from tests.waiting import until

RAY = os.environ.get("BRAID_TEST_RAY", "")
TOKEN = "0123456789abcdef0123456789abcdef"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not RAY, reason="BRAID_TEST_RAY names no `ray` command; tests/fakes/ray.py stands in for it"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = find_port()
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    ports = ("--port", str(find_port()), "--dashboard-port", str(port), "--node-ip-address", "127.0.0.1")
    folder = tmp_path_factory.mktemp("ray")
    options = ("--num-cpus", "2", "--disable-usage-stats", "--temp-dir", str(folder))
    log = (folder / "log").open("wb")
    # `ray stop` would end every cluster on this machine, and not this one alone.
    process = subprocess.Popen([RAY, "start", "--head", "--block", *ports, *options], env=environment, stdout=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, process)
        yield address
    finally:
        everybody = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(60)
        for left in psutil.wait_procs(everybody, 10)[1]:
            left.kill()
        log.close()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    request = urllib.request.Request(f"{address}/api/jobs/", headers={"authorization": f"Bearer {TOKEN}"})
    for _ in range(120):
        assert process.poll() is None, "the cluster didn't start"
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except OSError:
            time.sleep(1)
    raise AssertionError("the cluster doesn't answer")


@pytest.fixture
def settings(settings: Settings, cluster: str) -> Settings:
    changes = {"training_executor": "ray", "ray_address": cluster, "ray_token": SecretStr(TOKEN)}
    return settings.model_copy(update={**changes, "ray_cpus": 1, "ray_gpus": 0.0})


def list_trainers(folder: Path) -> list[psutil.Process]:
    """List the trainers that work in a run's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if str(folder / "control.json") in line and process.info["status"] != "zombie":
            found.append(process)
    return found


def make_slow(settings: Settings, mode: str) -> None:
    """Have the trainer behave so: Ray gives a job the cluster's environment, not this one's."""
    file = settings.model_python
    line = f"import os\nos.environ.setdefault('BRAID_TEST_TRAINER', {mode!r})\nimport sys\n"
    file.write_text(file.read_text().replace("import sys\n", line, 1))


async def test_a_cluster_trains_and_the_adapter_answers(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        done = await ended(client, (await start(client))["id"], seconds=120)
        assert done["status"] == "succeeded", done
        await until_loaded(client, done["fine_tuned_model"])
    assert not work_folders(settings, done["id"])


async def test_a_pause_saves_the_state_and_a_resume_goes_on(gateway: Gateway, settings: Settings) -> None:
    make_slow(settings, "short")
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        assert (await client.post(f"{JOBS}/{job}/pause")).status_code == 200
        await until(lambda: not work_folders(settings, job))
        step = (await read_row(gateway, job)).state_step
        assert step
        assert (await client.post(f"{JOBS}/{job}/resume")).status_code == 200
        assert (await ended(client, job, seconds=120))["status"] == "succeeded"
    assert f"The training goes on after step {step}" in [event["message"] for event in await events(client, job)]


@pytest.mark.parametrize("ending", ["cancel", "supervisor"])
async def test_no_trainer_outlives_its_job(gateway: Gateway, settings: Settings, ending: str) -> None:
    make_slow(settings, "slow")
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    async with working(settings):
        await until_trains(client, job)
        (folder,) = work_folders(settings, job)
        (trainer,) = list_trainers(folder)
        if ending == "cancel":
            assert (await client.post(f"{JOBS}/{job}/cancel")).status_code == 200
        else:
            supervisor = trainer.parent()
            assert supervisor is not None
            assert "JobSupervisor" in " ".join(supervisor.cmdline())
            supervisor.kill()
        await until(lambda: not list_trainers(folder))
        if ending == "supervisor":  # the next run goes on
            await until(lambda: bool(work_folders(settings, job)) and work_folders(settings, job) != [folder])
            await client.post(f"{JOBS}/{job}/cancel")
            await until(lambda: not work_folders(settings, job))


def test_a_cluster_wants_its_token(cluster: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{cluster}/api/jobs/", timeout=10)
