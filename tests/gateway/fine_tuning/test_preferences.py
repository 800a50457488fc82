"""Jobs that learn from preferences: their rows, their numbers, and the adapter that they train on from."""

import asyncio
import json
import shutil
from typing import Any

import pytest

from gateway.artifacts import StoredBytes
from gateway.fine_tuning.dataset import TrainingFiles
from gateway.fine_tuning.rows import RenderedFile, RowsUnusable, render_preferences, render_rows
from gateway.settings import Settings
from tests.fakes.trainer import preferences, rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import JOBS, adapters, ask, ended, events, retrieve, start, until_loaded, upload
from tests.gateway.worker import working

PASSAGE = {"title": "Orders", "text": "Every order sails on Tuesday."}


def dpo(**hyperparameters: Any) -> dict[str, Any]:
    return {"type": "dpo", "dpo": {"hyperparameters": hyperparameters}}


def read(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines() if line]


def test_both_replies_stand_behind_the_prompt_of_a_supervised_row() -> None:
    source = "You are terse."
    data = preferences(3, passages=[PASSAGE])
    file = render_preferences(data, source)
    assert (file.count, file.shares.grounded, list(file.without_system)) == (3, 3, [])
    for row, rendered in zip(read(data), read(file.content), strict=True):
        for output in ("preferred_output", "non_preferred_output"):
            supervised = {"messages": [*row["input"]["messages"], *row[output]], "braid": row["braid"]}
            (whole,) = read(render_rows(json.dumps(supervised).encode(), source).content)
            assert [*rendered["input"]["messages"], *rendered[output]] == whole["messages"]


def test_every_bad_row_is_named_by_its_line() -> None:
    lines = preferences(3).splitlines()
    lines[1] = rows(1)
    lines.append(lines[0].replace(b"No idea about 0.", b"Order 0 sails today."))
    with pytest.raises(RowsUnusable) as caught:
        render_preferences(b"\n".join(lines), None)
    assert caught.value.rows == 4
    assert [problem.row for problem in caught.value.problems] == [2, 4]


async def test_a_job_has_its_methods_numbers_and_bad_rows_are_named(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, preferences(50), method=dpo(beta=0.2, n_epochs=2, learning_rate_multiplier=0.5))
    own = {"beta": 0.2, "n_epochs": 2, "batch_size": 2, "learning_rate_multiplier": 0.5}
    assert job["method"] == {"type": "dpo", "dpo": {"hyperparameters": own}}
    assert job["hyperparameters"] == {name: own[name] for name in own if name != "beta"}
    assert job["braid"]["reasons"]["beta"] == "0.2: the request says so"
    assert job["braid"]["reasons"]["learning_rate"].startswith("3.5e-5: ")
    assert await retrieve(client, job["id"]) == job
    bare = await start(client, preferences(50), method={"type": "dpo"}, hyperparameters={"n_epochs": 3})
    assert (bare["method"]["dpo"]["hyperparameters"]["beta"], bare["hyperparameters"]["n_epochs"]) == (0.1, 3)
    data = preferences(12).replace(b"No idea about 3.", b"Order 3 sails today.")
    answer = await client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.jsonl", data)})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_training_file")
    assert "Row 4: Both of its replies are the same" in error["message"]
    unlike = await ask(client, preferences(12))
    error = unlike.json()["error"]
    assert (unlike.status_code, error["param"], error["code"]) == (400, "training_file", "invalid_training_file")
    assert "12 of 12 rows can't be used. Row 1: This is a preference row: make the job with the" in error["message"]


async def test_a_style_is_learnt_first_and_preferences_afterwards(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = await gateway.tenant("kestrel"), await gateway.tenant("osprey")
    validation = await upload(client, preferences(4))
    async with working(settings):
        model = (await ended(client, (await start(client, rows(50), suffix="voice"))["id"]))["fine_tuned_model"]
        await until_loaded(client, model)
        job = await start(client, preferences(50), method=dpo(), model=model, validation_file=validation)
        assert job["model"] == model
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done
    made = {row["model"]: row for row in await adapters(client)}
    folders = settings.artifacts / "adapters"
    manifest = json.loads((folders / made[done["fine_tuned_model"]]["digest"] / "manifest.json").read_bytes())
    assert manifest["start_digest"] == made[model]["digest"]
    assert (manifest["recipe"]["method"], manifest["recipe"]["beta"], manifest["rank"]) == ("dpo", 0.1, 4)
    (step, *_) = [event["data"] for event in await events(client, job["id"]) if event["message"].startswith("Step ")]
    assert (step["train_reward_accuracy"], step["train_reward_margin"]) == (0.75, 0.25)
    assert "train_mean_token_accuracy" not in step
    (checkpoint,) = (await client.get(f"{JOBS}/{job['id']}/checkpoints")).json()["data"]
    assert (checkpoint["metrics"]["valid_reward_accuracy"], checkpoint["metrics"]["valid_reward_margin"]) == (0.8, 0.2)
    lines = (await client.get(f"/v1/files/{done['result_files'][0]}/content")).text.splitlines()
    assert lines[0] == (
        "step,train_loss,train_reward_accuracy,train_reward_margin,valid_loss,valid_reward_accuracy,valid_reward_margin"
    )
    assert lines[1] == "1,2.0,0.75,0.25,,,"
    assert lines[-1].endswith(",0.75,0.25,1.5,0.8,0.2")

    supervised = await start(client, rows(50), model=model)
    assert (supervised["model"], supervised["braid"]["recipe"]["rank"]) == (model, 4)

    for fields, who, code in (
        ({"method": dpo(), "model": model}, other, "model_not_found"),
        ({"method": dpo(), "model": model, "braid": {"recipe": {"rank": 2}}}, client, "invalid_recipe"),
    ):
        refused = await ask(who, preferences(12), **fields)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code), refused.text

    store = TrainingFiles.store

    async def write_beside(files: TrainingFiles, file: RenderedFile) -> StoredBytes:
        """Write as another tenant would while rows are rendered and stored."""
        async with asyncio.timeout(2):
            assert (await other.post("/v1/vector_stores", json={"name": "beside"})).status_code == 200
        return await store(files, file)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingFiles, "store", write_beside)
        await start(client, preferences(50), method=dpo(), model=model)

    late = await start(client, preferences(50), method=dpo(), model=model)
    assert (await client.delete(f"/v1/models/{model}")).status_code == 200
    shutil.rmtree(folders / made[model]["digest"])
    async with working(settings):
        failed = await ended(client, late["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "start_missing")
