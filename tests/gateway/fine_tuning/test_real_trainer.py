"""The real trainer through the whole road; only the engine is a fake, and the base has two layers.

On the packaged base and a real engine the small demo trains, in `tests/e2e`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from gateway.adapters.executor import LocalExecutor
from gateway.adapters.trainer import TrainerProgram
from gateway.engines.served_base_model import ServedBaseModel
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.trainer import rows
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import adapters, ended, events, start, until_loaded
from tests.gateway.worker import working
from training.manifest import Reference
from training.verdict import BaseShape

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-model/bin/python"


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "tiny"
    command = [str(PYTHON), "-m", "tests.training.model.tiny_base", str(folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def settings(tmp_path: Path, migrated: Path, engine: FakeVllm, base_folder: Path) -> Settings:
    shutil.copy(migrated, tmp_path / "braid.db")
    digest = BaseShape.read(base_folder).digest
    ServedBaseModel.locate_file(tmp_path).parent.mkdir()
    base = ServedBaseModel(name=engine.model, path=str(base_folder), digest=digest)
    ServedBaseModel.locate_file(tmp_path).write_bytes(msgspec.json.encode(base))
    return Settings(home=tmp_path, engine_urls=(engine.url,), grace_seconds=2, model_python=PYTHON)


async def test_a_style_is_trained_and_can_be_proven(
    gateway: Gateway, engine: FakeVllm, settings: Settings, tmp_path: Path
) -> None:
    # The fake engine has a tokenizer of its own.
    engine.rule = lambda received: faults.status(404) if received.path == "/tokenize" else None
    client = await gateway.tenant("kestrel")
    passages = [{"title": "Orders", "text": "Every order sails on Tuesday."}]
    hyperparameters = {"n_epochs": 1, "batch_size": 5}
    job = await start(client, rows(10, passages=passages), suffix="pirate", hyperparameters=hyperparameters)
    async with working(settings):
        done = await ended(client, job["id"], seconds=600)
    assert done["status"] == "succeeded", done
    assert done["trained_tokens"] > 1000
    metrics = [event["data"] for event in await events(client, job["id"]) if event["message"].startswith("Step ")]
    assert [data["step"] for data in metrics] == [1, 2]
    assert metrics[1]["train_loss"] < metrics[0]["train_loss"]
    await until_loaded(client, done["fine_tuned_model"])
    (row,) = await adapters(client)
    assert (row["status"], row["rank"]) == ("ready", 16)

    folder = settings.artifacts / "adapters" / row["digest"]
    base = ServedBaseModel.load(settings)
    trainer = TrainerProgram(LocalExecutor(PYTHON), tmp_path / "logs")
    async with trainer.make_reference(Path(base.path), folder, tmp_path / "reference.json") as run:
        await run.check()
    reference = msgspec.json.decode((tmp_path / "reference.json").read_bytes(), type=Reference)
    assert reference.adapter_digest == row["digest"]
    assert any(probe.logprobs != probe.base_logprobs for probe in reference.probe)
