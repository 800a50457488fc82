"""A whole job as openai-python drives it, untouched: made, paused, resumed, followed, and its models asked."""

import io
from typing import Any, cast

import openai
import pytest

from gateway.settings import Settings
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import until_loaded, work_folders
from tests.gateway.worker import working
from tests.waiting import until
from training.spec import Recipe

STEPS = Recipe.for_rows(50).count_steps(50)


async def test_a_job_is_driven_from_its_file_to_its_models(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = await gateway.tenant("kestrel")
    key = http.headers["authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short_epochs")
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client, working(settings):
        jobs = cast("Any", client.fine_tuning.jobs)  # whose type doesn't know `paused` yet
        file = await client.files.create(file=("rows.jsonl", io.BytesIO(rows(50))), purpose="fine-tune")
        made = await jobs.create(model="base", training_file=file.id, suffix="voice", seed=1)
        assert (made.status, made.estimated_finish) == ("queued", None)

        async def is_estimated() -> bool:
            return (await jobs.retrieve(made.id)).estimated_finish is not None

        await until(is_estimated)
        running = await jobs.retrieve(made.id)
        assert running.status == "running"
        assert running.estimated_finish >= running.created_at
        paused = await jobs.pause(made.id)
        assert (paused.status, paused.estimated_finish) == ("paused", None)
        await until(lambda: not work_folders(settings, made.id))
        assert (await jobs.resume(made.id)).status == "queued"

        async def has_ended() -> bool:
            return (await jobs.retrieve(made.id)).status in ("succeeded", "failed")

        await until(has_ended)
        done = await jobs.retrieve(made.id)
        assert done.status == "succeeded", done.error
        told = [event async for event in jobs.list_events(made.id, limit=7)]
        steps = [event.data["step"] for event in told if event.message.startswith("Step ")]
        assert steps == list(range(STEPS, 0, -1))
        assert any("goes on after step" in event.message for event in told)
        checkpoints = [one async for one in client.fine_tuning.jobs.checkpoints.list(made.id)]
        assert [one.step_number for one in checkpoints] == [STEPS, 2, 1]
        assert checkpoints[1].metrics.train_loss == 1.0
        for model in (done.fine_tuned_model, checkpoints[1].fine_tuned_model_checkpoint):
            await until_loaded(http, model)
            messages: Any = [{"role": "user", "content": "Where is order 99?"}]
            assert (await client.chat.completions.create(model=model, messages=messages)).choices[0].message.content
        assert (await client.models.delete(done.fine_tuned_model)).deleted
        left = [model.id async for model in client.models.list()]
        assert not [id for id in left if id.startswith("ft:")]
