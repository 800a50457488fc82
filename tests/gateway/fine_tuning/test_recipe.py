"""What an owner may ask for, and what becomes of it: in the job, and in the trainer's spec."""

import json
from typing import Any

import psutil
import pytest

from gateway.fine_tuning.recipe import explain_recipe
from gateway.fine_tuning.schemas import Hyperparameters, RecipeOptions
from gateway.settings import Settings
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ask, ended, events, retrieve, start, until_trains, upload, work_folders
from tests.gateway.worker import working
from training.spec import Recipe

ASKED = {"rank": 8, "max_length": 512, "micro_batch_tokens": 256, "learning_rate": 0.0003, "quantization": "nf4"}


async def test_what_an_owner_asks_for_is_shown_and_reaches_the_trainer(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "slow")
    job = await start(client, braid={"recipe": ASKED})
    assert job["braid"]["recipe"] == ASKED
    operator = {"training_device": "cuda:1", "training_wait_seconds": 5.0, "training_processes": 2}
    async with working(settings.model_copy(update=operator)):
        await until_trains(client, job["id"])
        (work,) = work_folders(settings, job["id"])
        lines = [child.cmdline() for child in psutil.Process().children(recursive=True)]
        expected = ["--device", "cuda:1", "--wait-seconds", "5.0", "--processes", "2"]
        assert any(line[-6:] == expected for line in lines)
        recipe = json.loads((work / "spec.json").read_bytes())["recipe"]
        await client.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel")
    assert {name: recipe[name] for name in ASKED} == ASKED
    assert recipe["alpha"] == 16


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "7e-4: what suits a base model of less than a million parameters"),
        ({"hyperparameters": {"learning_rate_multiplier": 0.5}}, "3.5e-4: what suits"),
        ({"braid": {"recipe": {"learning_rate": 0.0003}}}, "0.0003: the request says so"),
    ],
)
async def test_the_reason_of_the_rate_has_the_number_that_is_used(
    gateway: Gateway, fields: dict[str, Any], words: str
) -> None:
    job = await start(await gateway.tenant("kestrel"), **fields)
    assert job["braid"]["reasons"]["learning_rate"].startswith(words)


def test_where_only_workers_know_the_base_the_reason_says_what_decides() -> None:
    reasons = explain_recipe(Recipe.for_rows(50), Hyperparameters(), RecipeOptions(), 50, None)
    assert reasons["learning_rate"] == "the base model's size, which only workers know here"
    known = explain_recipe(Recipe.for_rows(50), Hyperparameters(), RecipeOptions(), 50, 494_000_000)
    assert known["learning_rate"] == "3.11e-4: what suits a base model of 494 million parameters"
    for parameters, words in ((999_999, "less than a million"), (1_000_000, "1 million"), (7e9, "7,000 million")):
        reasons = explain_recipe(Recipe.for_rows(50), Hyperparameters(), RecipeOptions(), 50, int(parameters))
        assert reasons["learning_rate"].endswith(f": what suits a base model of {words} parameters")


async def test_the_rest_follows_from_the_engines(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, braid={"recipe": {"micro_batch_tokens": 100}})
    assert job["braid"]["recipe"] == {
        "rank": min(16, settings.max_lora_rank),
        "max_length": 2048,
        "micro_batch_tokens": 100,
        "learning_rate": None,
        "quantization": None,
    }
    assert (await retrieve(client, job["id"]))["braid"] == job["braid"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"braid": {"recipe": {"rank": 17}}}, "braid.recipe.rank", "over the 16 that engines here take"),
    ({"braid": {"recipe": {"max_length": 5000}}}, "braid.recipe.max_length", "longer than the 4096"),
    (
        {"braid": {"recipe": {"learning_rate": 0.1}}, "hyperparameters": {"learning_rate_multiplier": 2.0}},
        "braid.recipe.learning_rate",
        "Give one of the two",
    ),
]


@pytest.mark.parametrize(("fields", "param", "words"), REFUSED)
async def test_what_can_not_be_served_is_refused_when_the_job_is_made(
    gateway: Gateway, fields: dict[str, Any], param: str, words: str
) -> None:
    client = await gateway.tenant("kestrel")
    answer = await ask(client, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_recipe", param)
    assert words in error["message"]


@pytest.mark.parametrize(
    "recipe", [{"rank": 0}, {"rank": "8"}, {"learning_rate": 2}, {"max_length": 8}, {"warmup_share": 0.5}]
)
async def test_numbers_out_of_range_and_unknown_names_are_a_400(gateway: Gateway, recipe: dict[str, Any]) -> None:
    client = await gateway.tenant("kestrel")
    answer = await ask(client, braid={"recipe": recipe})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("braid.recipe.")


async def test_a_rank_that_engines_no_longer_take_fails_before_the_training(
    gateway: Gateway, settings: Settings
) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, braid={"recipe": {"rank": 16}})
    async with working(settings.model_copy(update={"max_lora_rank": 8})):
        done = await ended(client, job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "rank_over_limit")


async def test_the_best_epoch_is_told_and_its_figures_are_the_adapters(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await gateway.tenant("kestrel")
    monkeypatch.setenv("BRAID_TEST_TRAINER", "overfit")
    job = await start(client, validation_file=await upload(client, rows(4)))
    async with working(settings):
        done = await ended(client, job["id"])
    assert done["status"] == "succeeded", done
    messages = [event["message"] for event in await events(client, job["id"])]
    assert "The weights of epoch 1 are kept: its validation loss was the lowest" in messages
    (checkpoint,) = (await client.get(f"/v1/fine_tuning/jobs/{job['id']}/checkpoints")).json()["data"]
    assert (checkpoint["step_number"], checkpoint["metrics"]["valid_loss"]) == (1, 0.5)
