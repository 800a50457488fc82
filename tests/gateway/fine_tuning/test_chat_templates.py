"""What a job makes of the base's chat template: refused at creation, or the same form in rows and requests."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.db import open_database
from gateway.engines.repository import announce_base
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.training_traits import read_training_traits
from gateway.settings import Settings
from tests.fakes.trainer import rows, write_trainer
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import adapters, ask, ended, start, until_loaded
from tests.gateway.worker import working
from tests.training import chat_templates as templates

HERE, ELSEWHERE = "here", "elsewhere"


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """Where the base's files are: here, or on another machine, whose worker has announced it."""
    return getattr(request, "param", HERE)


in_both_places = pytest.mark.parametrize("place", [HERE, ELSEWHERE], indirect=True)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str, engine: FakeVllm, place: str
) -> Settings:
    """As for other jobs, with a chat template and what `braid up` says of it."""
    worker.prepare_home(tmp_path, engine.model)
    settings = Settings(
        home=tmp_path,
        database_url=database_url,
        engine_urls=(engine.url,),
        grace_seconds=2,
        model_python=write_trainer(tmp_path / "python"),
    )
    template, folds = request.param
    base = msgspec.structs.replace(ServedBaseModel.load(settings), folds_system=folds)
    Path(base.path, "chat_template.jinja").write_text(template)
    ends = {"added_tokens": [{"id": 2, "content": "<|im_end|>", "special": True}]}
    Path(base.path, "tokenizer.json").write_text(json.dumps(ends))
    Path(base.path, "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))
    base = msgspec.structs.replace(base, training=read_training_traits(Path(base.path)))
    ServedBaseModel.locate_file(tmp_path).write_bytes(msgspec.json.encode(base))
    if place == ELSEWHERE:
        asyncio.run(announce(database_url, base))
        ServedBaseModel.locate_file(tmp_path).unlink()
    return settings


async def announce(database_url: str, base: ServedBaseModel) -> None:
    async with open_database(database_url) as database, database.begin() as session:
        await announce_base(session, base)


@pytest.mark.parametrize(
    ("settings", "trait"),
    [
        ((template, False), trait)
        for template, trait in (templates.REFUSED[name] for name in ("opens a thought", "escapes replies"))
    ],
    indirect=["settings"],
)
@in_both_places
async def test_a_job_that_the_template_makes_impossible_is_refused_when_it_is_made(
    gateway: Gateway, trait: str
) -> None:
    answer = await ask(await gateway.tenant("kestrel"))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_chat_template", "model")
    assert trait in error["message"]
    assert "chat_template.jinja" in error["message"]


@pytest.mark.parametrize("settings", [(templates.DATED_DEFAULT, False)], indirect=True)
@in_both_places
async def test_rows_without_a_system_text_are_refused_where_the_date_would_stand_in(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    answer = await ask(client, b'{"messages": [{"role": "system", "content": "Be brief."}, '
                       b'{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}\n' * 10
                       + rows(2))  # fmt: skip
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_training_file")
    assert "rows 11, 12" in error["message"]
    await client.post("/api/prompts", json={"name": "support", "template": "{% block system %}Be brief.{% endblock %}"})
    await start(client, rows(12), braid={"prompt": "support"})


async def request_of(client: httpx2.AsyncClient, engine: FakeVllm, model: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is order 99?"}]
    answer = await client.post("/v1/chat/completions", json={"model": model, "messages": messages})
    assert answer.status_code == 200, answer.text
    return json.loads(engine.requests()[-1].body)


@pytest.mark.parametrize("settings", [(templates.DATED_VARIABLE, True)], indirect=True)
async def test_requests_for_an_adapter_have_the_form_that_it_was_trained_in(
    gateway: Gateway, settings: Settings, engine: FakeVllm
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    pinned = job["braid"]["chat_template_kwargs"]
    assert pinned.keys() == {"date_string"}
    async with working(settings):
        model = (await ended(client, job["id"]))["fine_tuned_model"]
    await until_loaded(client, model)
    await client.post("/api/assistants", json={"name": "desk"})
    release = (await client.post("/api/assistants/desk/releases", json={"adapter": model})).json()["release"]
    folded = [{"role": "user", "content": "Be brief.\n\nWhere is order 99?"}]
    for name in (model, f"desk@{release}"):
        body = await request_of(client, engine, name)
        assert (body["messages"], body["chat_template_kwargs"]) == (folded, pinned)
    body = await request_of(client, engine, "base")
    assert body["messages"] == folded
    assert "chat_template_kwargs" not in body
    shown = (await client.get("/api/assistants/desk/releases")).json()["data"][0]["spec"]
    assert shown["adapter"]["chat_template_kwargs"] == pinned
    assert len(await adapters(client)) == 1


@pytest.mark.parametrize("settings", [(templates.PLAIN, False)], indirect=True)
async def test_a_job_on_a_quantised_base_is_refused_when_it_is_made(gateway: Gateway, settings: Settings) -> None:
    folder = Path(ServedBaseModel.load(settings).path)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "awq"}}))
    answer = await ask(await gateway.tenant("kestrel"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_base_model")
    refusal = read_training_traits(folder).refusal
    assert refusal is not None
    assert refusal.message == answer.json()["error"]["message"]


@pytest.mark.parametrize("settings", [(templates.PLAIN, False)], indirect=True)
@in_both_places
async def test_the_rate_follows_the_size_of_a_base_also_where_its_files_are_elsewhere(gateway: Gateway) -> None:
    job = await start(await gateway.tenant("kestrel"))
    assert "parameters" in job["braid"]["reasons"]["learning_rate"]


@pytest.mark.parametrize("settings", [(templates.PLAIN, False)], indirect=True)
async def test_a_worker_refuses_a_job_before_its_trainer_starts(gateway: Gateway, settings: Settings) -> None:
    config = Path(ServedBaseModel.load(settings).path) / "config.json"
    client = await gateway.tenant("kestrel")
    job = await start(client)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "awq"}}))
    settings.model_python.unlink()
    async with working(settings):
        error = (await ended(client, job["id"]))["error"]
    assert error["code"] == "unsupported_base_model"
    assert error["message"] == (await ask(client)).json()["error"]["message"]
