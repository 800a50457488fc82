"""The cost of a training, before and after it."""

import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from gateway.fine_tuning import train_job
from gateway.fine_tuning.estimate import Price, TrainingFigures, estimate_training, price_figures, summarise
from gateway.settings import Settings
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ended, events, retrieve, start, work_folders
from tests.gateway.worker import working
from tests.waiting import until
from training.spec import Recipe

TICKETS = TrainingFigures(
    rows=5_000,
    tokens=900_000,
    trained_tokens=900_000,
    steps=625,
    tokens_per_second=1_350.0,
    seconds=720.0,
    other_seconds=54.0,
    token_bytes=4.2,
)


def test_the_figures_are_a_line_for_people() -> None:
    assert summarise(TICKETS, Price(3.0, "EUR")) == "5,000 rows: 0.9 M tokens, about 12 min, about 0.60 EUR"
    assert summarise(TICKETS, Price(None, "EUR")) == "5,000 rows: 0.9 M tokens, about 12 min"
    long = msgspec.structs.replace(TICKETS, rows=10, trained_tokens=45_000, seconds=9_000.0)
    assert summarise(long, Price(1.0, "USD")) == "10 rows: 45 k tokens, about 2.5 h, about 2.50 USD"


def test_an_estimate_is_made_of_what_earlier_trainings_measured() -> None:
    recipe = Recipe.for_rows(5_000)
    estimate = estimate_training(recipe, 5_000, round(900_000 * 4.2), [TICKETS])
    assert (estimate.tokens, estimate.trained_tokens, estimate.steps) == (900_000, 900_000, 625)
    assert estimate.seconds == pytest.approx(720, rel=0.01)
    slow = msgspec.structs.replace(TICKETS, tokens_per_second=10.0)
    fast = msgspec.structs.replace(TICKETS, tokens_per_second=1_400.0)
    # One that ran beside other work doesn't count for all.
    assert estimate_training(recipe, 5_000, 1_000, [slow, TICKETS, fast]).tokens_per_second == 1_350


def test_rows_that_are_seen_often_count_often() -> None:
    recipe = Recipe.for_rows(48)
    estimate = estimate_training(recipe, 48, 48_000, [])
    seen = recipe.count_steps(48) * recipe.batch_size / 48
    assert estimate.trained_tokens == pytest.approx(seen * estimate.tokens, rel=0.01)


def test_without_a_price_there_is_no_cost() -> None:
    shown = price_figures(TICKETS, Price(None, "EUR"), basis="a guess")
    assert (shown["cost"], shown["currency"]) == (None, None)


async def test_what_a_training_waits_for_before_it_starts_costs_nothing(
    gateway: Gateway, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = 0.0
    clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + waited)
    monkeypatch.setattr(train_job, "time", clock)
    turn = tmp_path / "its-turn"
    monkeypatch.setenv("BRAID_TEST_TRAINER", f"queued:{turn}")
    client = await gateway.tenant("kestrel")
    job = (await start(client))["id"]
    async with working(settings):
        await until(lambda: work_folders(settings, job) and any(work_folders(settings, job)[0].glob("*.json")))
        waited = 10_000.0
        turn.touch()
        done = await ended(client, job)
    assert done["status"] == "succeeded", done
    assert done["braid"]["actual"]["seconds"] < 1_000


async def test_a_job_shows_what_it_will_cost_and_what_it_cost(gateway: Gateway, settings: Settings) -> None:
    priced = settings.model_copy(update={"training_price_per_hour": 36.0})
    client = await gateway.tenant("kestrel")
    first = (await start(client))["braid"]
    assert first["estimate"]["basis"].startswith("a guess")
    assert first["estimate"]["cost"] is None  # this gateway was given no price, the worker below was
    assert first["actual"] is None
    assert first["reasons"]["steps"].startswith(f"{first['steps']}: 50 rows")
    assert set(first["reasons"]) == {
        "steps", "n_epochs", "batch_size", "learning_rate", "rank", "max_length", "micro_batch_tokens", "rehearsal",
    }  # fmt: skip
    async with working(priced):
        job = (await start(client, seed=2))["id"]
        done = await ended(client, job)
    actual = done["braid"]["actual"]
    # The stand-in for a trainer says that it takes 100 tokens per second, and 100 per step.
    assert (actual["tokens_per_second"], actual["trained_tokens"], actual["rows"]) == (100, 100 * actual["steps"], 50)
    assert actual["cost"] == pytest.approx(actual["seconds"] / 100, rel=1e-3)
    assert actual["currency"] == "EUR"
    messages = [event["message"] for event in await events(client, job)]
    assert any(message.startswith("Expected: 50 rows: ") for message in messages)
    assert any(message.startswith("Recipe: steps ") for message in messages)
    assert f"Measured: {actual['summary']}" in messages
    again = (await start(client, seed=3, hyperparameters={"n_epochs": 2}))["braid"]
    assert again["estimate"]["tokens_per_second"] == 100
    assert again["estimate"]["basis"] == "measured in 2 trainings, the last of this base"
    assert again["reasons"]["n_epochs"] == "2: the request says so"
    assert (await retrieve(client, job))["braid"]["actual"] == actual
