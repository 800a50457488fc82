"""The base says the same to each gate: within an hour a worker asks it once."""

import json
from collections import Counter
from typing import Any

from gateway.gates.base_answers import BaseAnswers
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.gates.planted import held_out_rows
from tests.gateway.gates.test_gates import ASSISTANT, begin, client, release, train
from tests.gateway.tuning import settings, upload
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["client", "index", "settings"]


async def test_a_second_gate_asks_the_base_nothing_that_the_first_one_has(client: Client, engine: FakeVllm) -> None:
    file = await upload(client.http, held_out_rows())
    models = await train(client, ("good", "worse"), validation_file=file)
    store = await client.store()
    numbers = {kind: await release(client, model, store) for kind, model in models.items()}
    for number in numbers.values():
        await begin(client, number)
    await client.settle()  # by one worker
    gates = {kind: await client.ok("GET", f"{ASSISTANT}/releases/{one}/gate") for kind, one in numbers.items()}
    assert {kind: (one["status"], one["passed"]) for kind, one in gates.items()} == {
        "good": ("succeeded", True),
        "worse": ("succeeded", False),
    }
    bodies = [json.loads(one.body) for one in engine.requests() if one.path == CHAT]
    asked = Counter(one["model"] for one in bodies)
    assert asked["base"] > 100
    others = {asked[model] for model in asked if model != "base"}
    assert all(count > 100 for count in others), asked
    repeated = Counter(json.dumps(one, sort_keys=True) for one in bodies if one["model"] == "base")
    assert set(repeated.values()) == {1}


async def test_answers_are_remembered_for_an_hour() -> None:
    now, asked = 0.0, 0

    async def ask() -> Any:
        nonlocal asked
        asked += 1
        return asked

    answers = BaseAnswers(lambda: now)
    assert [await answers.recall("a", ask), await answers.recall("a", ask), await answers.recall("b", ask)] == [1, 1, 2]
    now = 3601.0
    assert (await answers.recall("a", ask), await answers.recall("a", ask)) == (3, 3)


async def test_the_oldest_answers_make_room() -> None:
    answers = BaseAnswers()

    def say(number: int) -> Any:
        async def ask() -> int:
            return number

        return ask

    for number in range(10_001):
        await answers.recall(str(number), say(number))
    answers.note("10000", -1)
    assert await answers.recall("10000", say(-1)) == 10_000
    assert await answers.recall("0", say(-1)) == -1
