"""The work behind a job: a worker, a trainer without torch, and a fake engine on a real socket."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from sqlalchemy import select

from gateway.adapters.tables import AdapterRow
from gateway.fine_tuning import FineTuningJobRow
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.trainer import rows
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import (
    JOBS,
    adapters,
    ended,
    events,
    loads,
    note_renderings,
    retrieve,
    start,
    until_loaded,
    until_status,
    until_trains,
    upload,
    work_folders,
)
from tests.gateway.worker import working
from tests.waiting import until
from training.spec import Recipe

RECIPE = Recipe.for_rows(50)
STEPS = RECIPE.count_steps(50)


def trainers() -> list[psutil.Process]:
    """The trainers that this process has started and that still run."""
    children = psutil.Process().children(recursive=True)
    return [one for one in children if one.status() != psutil.STATUS_ZOMBIE and "training" in one.cmdline()]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set `BRAID_TEST_TRAINER` to say what the trainer does."""
    return monkeypatch


async def manifest_of(gateway: Gateway, model: str) -> dict[str, Any]:
    """Return the manifest that the gateway has of an adapter."""
    async with gateway.state.database.read() as session:
        row = await session.scalar(select(AdapterRow).where(AdapterRow.model == model))
        assert row is not None
        return row.manifest


async def chat(client: httpx2.AsyncClient, model: str) -> httpx2.Response:
    return await client.post(
        "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "Where is order 99?"}]}
    )


async def test_from_rows_to_a_model_that_answers(gateway: Gateway, settings: Settings, engine: FakeVllm) -> None:
    client = await gateway.tenant("kestrel")
    validation = await upload(client, rows(4))
    job = await start(client, rows(50), suffix="voice", validation_file=validation)
    async with working(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done
    model = done["fine_tuned_model"]
    digest = model.rpartition(":")[2]
    assert model.startswith("ft:base:kestrel:voice:")
    assert len(digest) == 8
    assert done["trained_tokens"] == 1234
    assert done["finished_at"] >= done["created_at"]
    assert done["estimated_finish"] is done["error"] is None
    (adapter,) = await adapters(client)
    assert adapter["digest"].startswith(digest)
    assert (adapter["status"], adapter["model"], adapter["rank"], adapter["source"]) == ("ready", model, 4, job["id"])
    await until_loaded(client, model)
    assert (await chat(client, model)).status_code == 200
    assert json.loads(engine.requests()[-1].body)["model"] == f"kestrel.voice.{digest}"
    assert model in [shown["id"] for shown in (await client.get("/v1/models")).json()["data"]]
    assert not work_folders(settings, job["id"])


async def test_the_owner_reads_the_events_of_a_run_in_order(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with working(settings):
        done = await ended(client, job["id"])
    log = await events(client, job["id"])
    steps = [event for event in log if event["message"].startswith("Step ")]
    others = [event["message"] for event in log if event not in steps]
    (cost,) = [message for message in others if message.startswith("Measured: ")]
    assert cost.startswith("Measured: 50 rows: ")
    others.remove(cost)
    (parity,) = [message for message in others if "an engine makes" in message]
    others.remove(parity)
    assert others[others.index("Fine-tuning job started") :] == [
        "Fine-tuning job started",
        f"Training on 50 rows in {STEPS} steps: 1000 tokens, 200 of them in replies",
        f"Epoch {RECIPE.epochs} is done: training loss=1.0000",
        f"Checkpoint created at step {STEPS}",
        f"New fine-tuned model created: {done['fine_tuned_model']}",
        "The job has successfully completed",
    ]
    assert [event["data"]["step"] for event in steps] == list(range(1, STEPS + 1))
    assert steps[1]["message"] == f"Step 2/{STEPS}: training loss=1.0000"
    assert steps[1]["type"] == "metrics"
    assert steps[1]["data"] == {
        "step": 2,
        "total_steps": STEPS,
        "train_loss": 1.0,
        "train_mean_token_accuracy": 0.5,
        "epoch": pytest.approx(RECIPE.epochs * 2 / STEPS),
        "learning_rate": 0.001,
        "tokens_per_second": 100.0,
    }


async def test_a_job_leaves_a_checkpoint_and_a_result_file(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    validation = await upload(client, rows(4))
    job = await start(client, validation_file=validation)
    async with working(settings):
        done = await ended(client, job["id"])
    page = (await client.get(f"{JOBS}/{job['id']}/checkpoints")).json()
    (checkpoint,) = page["data"]
    assert page["first_id"] == page["last_id"] == checkpoint["id"]
    assert checkpoint["fine_tuned_model_checkpoint"] == done["fine_tuned_model"]
    assert checkpoint["step_number"] == STEPS
    assert checkpoint["metrics"] == {
        "step": STEPS,
        "train_loss": 1.0,
        "train_mean_token_accuracy": 0.75,
        "valid_loss": 1.5,
        "valid_mean_token_accuracy": 0.5,
    }
    (result,) = done["result_files"]
    file = (await client.get(f"/v1/files/{result}")).json()
    assert file["purpose"] == "fine-tune-results"
    lines = (await client.get(f"/v1/files/{result}/content")).text.splitlines()
    assert lines[:2] == ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy", "1,2.0,0.5,,"]
    assert len(lines) == STEPS + 1
    assert lines[STEPS].endswith(",0.5,1.5,0.5")


async def test_rows_are_rendered_with_the_prompt_and_their_passages(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    template = {"name": "support", "template": "You are the kettle desk."}
    await client.post("/api/prompts", json=template)
    passages = [{"title": "Warranty", "text": "31 months."}, {"title": "Refunds", "text": "14 days."}]
    trainer.setenv("BRAID_TEST_TRAINER", "slow")
    job = await start(client, rows(50, passages=passages), braid={"prompt": "support@1"})
    async with working(settings):
        await until_trains(client, job["id"])
        (work,) = work_folders(settings, job["id"])
        spec = json.loads((work / "spec.json").read_bytes())
        assert spec["rows"]["digest"] == job["braid"]["rows"]
        assert {file.name.partition(".")[0] for file in work.iterdir()} <= {"spec", "state"}
        first = json.loads(Path(spec["rows"]["path"]).read_bytes().splitlines()[0])
        await client.post(f"{JOBS}/{job['id']}/cancel")
    system, question, reply = first["messages"]
    assert system == {"role": "system", "content": "You are the kettle desk."}
    assert "[1] Warranty: 31 months." in question["content"]
    assert question["content"].endswith("Where is order 0?")
    assert reply == {"role": "assistant", "content": "Ahoy! Order 0 be sailing to ye."}
    assert spec["recipe"]["rank"] == settings.max_lora_rank
    assert spec["recipe"]["seed"] == 1


async def test_rows_are_rendered_once_from_a_jobs_creation_to_the_trainers_start(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But those of a job that names stores for its evidence are rendered twice, see `test_row_preparation`."""
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    renderings = note_renderings(monkeypatch)
    job = await start(client, rows(50, passages=[{"title": "Warranty", "text": "31 months."}]))
    assert len(set(renderings)) == len(renderings) == 50
    async with working(settings):
        await until_trains(client, job["id"])
        (work,) = work_folders(settings, job["id"])
        spec = json.loads((work / "spec.json").read_bytes())
        await client.post(f"{JOBS}/{job['id']}/cancel")
    assert len(renderings) == 50
    artifact = gateway.state.artifacts.locate_file(job["braid"]["rows"])
    assert spec["rows"] == {"path": str(artifact), "digest": job["braid"]["rows"]}
    shown = [json.loads(line)["messages"] for line in artifact.read_bytes().splitlines()]
    assert [turns[-1]["content"] for turns in shown] == renderings


SPOILS = {
    "nan": "not_finite",
    "shape": "wrong_shape",
    "module": "unknown_module",
    "foreign_base": "wrong_base",
    "dora": "unsupported_feature",
    "rank": "rank_over_limit",
    "no_effect": "no_effect",
}


async def test_weights_that_must_not_be_served_never_reach_an_engine(
    gateway: Gateway,
    settings: Settings,
    engine: FakeVllm,
    trainer: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(60))
    async with working(settings):
        good = await ended(client, (await start(client, suffix="voice"))["id"])
        await until_loaded(client, good["fine_tuned_model"])
        seen = set(loads(engine))
        for spoil, code in SPOILS.items():
            with subtests.test(spoil=spoil):
                trainer.setenv("BRAID_TEST_TRAINER", spoil)
                bad = await ended(client, (await start(client, training_file=file, suffix="voice"))["id"])
                assert (bad["status"], bad["fine_tuned_model"]) == ("failed", None)
                assert bad["error"]["code"] == "adapter_refused"
                assert f"{code}: " in bad["error"]["message"]
                assert (await events(client, bad["id"]))[-1]["level"] == "error"
    assert set(loads(engine)) == seen
    (row,) = await adapters(client)
    assert (row["status"], row["model"], row["loaded"]["replicas"]) == ("ready", good["fine_tuned_model"], 1)


@pytest.mark.parametrize("fault", ["drifted", "inert"])
async def test_an_adapter_that_the_engine_does_not_reproduce_is_refused(
    gateway: Gateway, settings: Settings, engine: FakeVllm, fault: str
) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    async with working(settings):
        model = (await ended(client, (await start(client, training_file=file))["id"]))["fine_tuned_model"]
        name = f"kestrel.style.{model.rpartition(':')[2]}"
        assert (await client.delete(f"/v1/models/{model}")).status_code == 200
        if fault == "drifted":
            engine.wrong_probes[name] = 3.0
        else:
            engine.inert.add(name)
        bad = await ended(client, (await start(client, training_file=file))["id"])
        assert bad["status"] == "failed"
        assert "log-probabilities" in bad["error"]["message"]
        (row,) = await adapters(client)
        assert row["status"] == "refused"
        assert "log-probabilities" in row["reason"]
        assert (await chat(client, model)).status_code == 404
        engine.wrong_probes.clear()
        engine.inert.clear()
        again = await ended(client, (await start(client, training_file=file))["id"])
    assert again["fine_tuned_model"] == model
    assert [row["status"] for row in await adapters(client)] == ["ready"]


async def test_a_trainer_that_gives_a_reason_is_not_asked_again(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", "failed")
    job = await start(client)
    async with working(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "failed"
    assert done["error"] == {
        "code": "loss_diverged",
        "message": "The loss is not a number. Use a smaller learning rate.",
        "param": None,
    }
    messages = [event["message"] for event in await events(client, job["id"])]
    assert sum(message.startswith("Training on") for message in messages) == 1


async def test_a_trainer_that_is_killed_twice_is_not_tried_again(
    gateway: Gateway, settings: Settings, engine: FakeVllm, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", "crash")
    job = await start(client)
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "trainer_died")
    assert "2 attempts" in done["error"]["message"]
    assert "signal 9" in done["error"]["message"]
    messages = [event["message"] for event in await events(client, job["id"])]
    assert messages.count("The training was interrupted and starts over") == 1
    assert messages.count("Fine-tuning job started") == 1
    assert loads(engine) == []
    assert not work_folders(settings, job["id"])


async def _run_once(
    client: httpx2.AsyncClient, settings: Settings, trainer: pytest.MonkeyPatch, mode: str
) -> tuple[dict[str, Any], list[str]]:
    """Return a job whose trainer would fail again, as it failed after one run, and what its events say."""
    trainer.setenv("BRAID_TEST_TRAINER", mode)
    job = await start(client)
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "trainer_crashed")
    messages = [event["message"] for event in await events(client, job["id"])]
    assert sum(message.startswith("Training on") for message in messages) == 1
    return done, messages


async def test_a_trainer_that_leaves_no_adapter_is_run_once(
    gateway: Gateway, settings: Settings, engine: FakeVllm, trainer: pytest.MonkeyPatch
) -> None:
    done, _ = await _run_once(await gateway.tenant("kestrel"), settings, trainer, "silent")
    assert "left no adapter" in done["error"]["message"]


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("bug", "An unexpected error: ValueError: …/rows.jsonl is odd"),
        ("abort", "signal 6"),
        ("status", "status 3"),
    ],
)
async def test_a_trainer_that_would_fail_again_is_run_once_and_its_log_kept(
    gateway: Gateway, settings: Settings, engine: FakeVllm, trainer: pytest.MonkeyPatch, mode: str, says: str
) -> None:
    done, messages = await _run_once(await gateway.tenant("kestrel"), settings, trainer, mode)
    assert says in done["error"]["message"]
    assert "RuntimeError in …/loop.py, line 7: no host … at …" in done["error"]["message"]
    assert not re.search(r"/home|127\.0\.0\.1|0x7f", json.dumps([done, messages]))
    (log,) = (settings.home / "logs" / "training").iterdir()
    assert log.name in done["error"]["message"]
    assert "/home/ann/braid/training/loop.py" in log.read_text()


async def test_a_trainer_that_succeeds_leaves_no_log(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with working(settings):
        assert (await ended(client, job["id"]))["status"] == "succeeded"
    assert list((settings.home / "logs" / "training").iterdir()) == []


async def test_lines_that_are_no_events_are_passed_over(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", "garbage")
    job = await start(client)
    async with working(settings):
        assert (await ended(client, job["id"]))["status"] == "succeeded"


async def test_the_trainers_warnings_become_events(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", "notices")
    job = await start(client, rows(10))
    async with working(settings):
        await ended(client, job["id"])
    warnings = [event["message"] for event in await events(client, job["id"]) if event["level"] == "warn"]
    assert len(warnings) == 2
    assert "10 rows" in warnings[0]
    assert warnings[1] == "The trainer says rows_dropped."


@pytest.mark.parametrize("mode", ["slow", pytest.param("deaf", marks=pytest.mark.e2e)])
async def test_a_running_job_is_cancelled_and_its_trainer_is_gone(
    gateway: Gateway, settings: Settings, engine: FakeVllm, trainer: pytest.MonkeyPatch, mode: str
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", mode)
    job = await start(client)
    async with working(settings):
        await until_trains(client, job["id"])
        running_job = await retrieve(client, job["id"])
        assert running_job["status"] == "running"
        assert running_job["estimated_finish"] > job["created_at"]
        assert running_job["trained_tokens"] > 0
        assert trainers()
        answer = await client.post(f"{JOBS}/{job['id']}/cancel")
        assert answer.json()["status"] == "cancelled"
        await until(lambda: not trainers() and not work_folders(settings, job["id"]))
        trainer.delenv("BRAID_TEST_TRAINER")
        other = await ended(client, (await start(client))["id"])
    assert other["status"] == "succeeded"
    done = await retrieve(client, job["id"])
    assert (done["status"], done["fine_tuned_model"], done["error"]) == ("cancelled", None, None)
    assert (await events(client, job["id"]))[-1]["message"] == "The job was cancelled."
    assert len(await adapters(client)) == 1


async def test_a_job_cancelled_while_its_adapter_is_tried_leaves_no_model(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    # Not for ever: the gateway's own reconciler may be measuring too, and unloads when it is through.
    engine.rule = lambda received: faults.delay(2) if received.path == "/v1/completions" else None
    job = await start(client)
    async with working(settings):
        await until_status(client, "probing")
        assert (await client.post(f"{JOBS}/{job['id']}/cancel")).status_code == 200
        (row,) = await adapters(client)
        assert row["status"] == "refused"
        assert "cancelled" in row["reason"]
        engine.rule = None
        await until(lambda: not engine.adapters, timeout=30)
    assert (await retrieve(client, job["id"]))["status"] == "cancelled"
    assert (await chat(client, row["model"])).status_code == 404


async def test_the_same_rows_and_seed_are_the_same_adapter(gateway: Gateway, settings: Settings) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    async with working(settings):
        one = await ended(kestrel, (await start(kestrel))["id"])
        two = await ended(kestrel, (await start(kestrel))["id"])
        other = await ended(kestrel, (await start(kestrel, seed=2))["id"])
        theirs = await ended(harbor, (await start(harbor))["id"])
    assert one["fine_tuned_model"] == two["fine_tuned_model"] != other["fine_tuned_model"]
    assert len(await adapters(kestrel)) == 2
    assert theirs["fine_tuned_model"] == one["fine_tuned_model"].replace("kestrel", "harbor")
    await until_loaded(harbor, theirs["fine_tuned_model"])
    assert (await chat(harbor, one["fine_tuned_model"])).status_code == 404


async def test_a_job_waits_for_an_engine_that_is_away_and_does_not_train_again(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    await engine.stop()
    job = await start(client)
    async with working(settings):
        await until_status(client, "probing")
        await engine.start()
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded"
    messages = [event["message"] for event in await events(client, job["id"])]
    assert sum(message.startswith("Training on") for message in messages) == 1


async def test_a_job_is_trained_on_its_own_rows_when_its_file_is_deleted(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    assert (await client.delete(f"/v1/files/{job['training_file']}")).status_code == 200
    async with working(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded"
    manifest = await manifest_of(gateway, done["fine_tuned_model"])
    assert manifest["rows_digest"] == job["braid"]["rows"]


async def test_rows_that_were_changed_after_the_job_was_made_are_not_trained(
    gateway: Gateway, settings: Settings
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    gateway.state.artifacts.locate_file(job["braid"]["rows"]).write_bytes(rows(60))
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "rows_changed")


async def test_a_trainer_that_read_other_rows_is_not_believed(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", "other_rows")
    job = await start(client)
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "rows_changed")
    assert "names other rows" in done["error"]["message"]
    assert await adapters(client) == []


async def test_a_job_from_before_rows_were_kept_fails_and_says_what_to_do(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    async with gateway.state.database.begin() as session:
        row = await session.get(FineTuningJobRow, job["id"])
        assert row is not None
        row.rows_digest = None
    async with working(settings):
        done = await ended(client, job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "rows_missing")
    assert "Make it again" in done["error"]["message"]


async def test_a_stopped_worker_gives_the_job_to_the_next(
    gateway: Gateway, settings: Settings, trainer: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    trainer.setenv("BRAID_TEST_TRAINER", "slow")
    job = await start(client)
    async with working(settings.model_copy(update={"grace_seconds": 30})):
        await until_trains(client, job["id"])
    assert not trainers()
    trainer.delenv("BRAID_TEST_TRAINER")
    async with working(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded"
    messages = [event["message"] for event in await events(client, job["id"])]
    assert "The training was interrupted" in messages
    assert any(message.startswith("The training goes on after step ") for message in messages)
