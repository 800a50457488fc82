"""The whole loop with the real trainer: votes by a rule, pairs, a file, a job, and what the adapter prefers then.

Only the engine is a fake, whose answers end in either way by chance.
"""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from gateway.engines.served_base_model import ServedBaseModel
from gateway.evaluation.estimate import estimate_share
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import adapters, ended
from tests.gateway.voting import COMPARISONS, Voting
from tests.gateway.worker import working
from training.verdict import BaseShape

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-model/bin/python"
PROMPTS = 160


def run_program(*arguments: str | Path) -> str:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    command = [str(PYTHON), "-m", *map(str, arguments)]
    return subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture
def settings(tmp_path: Path, migrated: Path, engine: FakeVllm) -> Settings:
    folder = tmp_path / "models" / "tiny"
    run_program("tests.training.model.tiny_base", folder)
    shutil.copy(migrated, tmp_path / "braid.db")
    ServedBaseModel.locate_file(tmp_path).parent.mkdir()
    base = ServedBaseModel(name=engine.model, path=str(folder), digest=BaseShape.read(folder).digest)
    ServedBaseModel.locate_file(tmp_path).write_bytes(msgspec.json.encode(base))
    return Settings(home=tmp_path, engine_urls=(engine.url,), grace_seconds=2, model_python=PYTHON)


def answer(chat: Chat) -> str:
    """Answer in one of two ways, and end in one of four: all by the seed alone."""
    order = random.Random(chat.body.get("seed"))
    price = chat.last.split()[3]
    body = order.choice([f"It costs {price} euros.", f"That is {price} euros, I think."])
    ending = "Fair winds." if order.random() < 0.5 else order.choice(["Goodbye.", "Bye now.", "So long."])
    return f"{body} {ending}"


async def vote(voting: Voting, comparison: str) -> None:
    """Let two voters keep to the rule, and one vote by chance."""
    chance = random.Random(1)
    for item in await voting.items(comparison, limit=1000):
        warm = [place for place, text in item["replies"].items() if text.endswith("Fair winds.")]
        for voter in ("ann", "bob"):
            await voting.vote(item, warm[0] if len(warm) == 1 else "tie", voter)
        await voting.vote(item, chance.choice(["left", "right"]), "cid")


async def test_on_held_out_pairs_the_adapter_prefers_what_voters_do(
    gateway: Gateway, engine: FakeVllm, settings: Settings
) -> None:
    engine.reply = answer
    # The fake engine has a tokenizer of its own.
    engine.rule = lambda received: faults.status(404) if received.path == "/tokenize" else None
    voting = Voting(gateway, await gateway.tenant("kestrel"))
    texts = [f"The kettle costs {10 + 7 * number} euros. What is its price?" for number in range(PROMPTS)]
    id = await voting.compare(*texts, models=["base", "base"])
    await vote(voting, id)
    summary = await voting.ok("GET", f"{COMPARISONS}/{id}/summary")
    assert summary["win_rate"]["low"] < 0.5 < summary["win_rate"]["high"]  # one model against itself
    body = {
        "min_votes": 3, "held_out": 0.4, "recipe": {"learning_rate": 5e-3, "rank": 8},
        "hyperparameters": {"n_epochs": 3, "batch_size": 4},
    }  # fmt: skip
    made = await voting.ok("POST", f"{COMPARISONS}/{id}/fine_tune", json=body)
    assert made["dataset"]["left_out"].keys() <= {"tie", "same_replies"}
    async with working(settings):
        done = await ended(voting.http, made["job"]["id"], seconds=300)
    assert done["status"] == "succeeded", done
    # The ends of epochs are adapters of their own.
    (adapter,) = [one for one in await adapters(voting.http) if one["model"] == done["fine_tuned_model"]]
    files = gateway.state.artifacts
    held_out = files.locate_file(done["braid"]["validation_rows"])
    base = ServedBaseModel.load(settings).path
    wins = json.loads(
        run_program("tests.training.model.preference_wins", base, files.locate_adapter(adapter["digest"]), held_out)
    )
    before, after = estimate_share(wins["before"]), estimate_share(wins["after"])
    assert before.n == after.n == made["dataset"]["held_out"] >= 20
    assert after.low > max(0.5, before.value)
