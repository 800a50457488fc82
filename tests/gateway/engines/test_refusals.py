"""What an engine says that isn't what was asked for: refused, with words that can be logged, and none of it guessed."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.engines import (
    AdapterNotLoaded,
    AdapterUnservable,
    Engine,
    EngineBusy,
    EngineError,
    EnginePool,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    NoReplica,
)
from gateway.engines.token_counter import TokenCounter
from tests.fakes import faults
from tests.fakes.vllm import COMPLETIONS, MODELS, TOKENIZE, FakeVllm
from tests.waiting import until

BASE = {"id": "base", "object": "model", "max_model_len": 4096, "parent": None, "root": "/models/base"}


def models(*cards: dict[str, Any]) -> faults.Fault:
    return faults.body(json.dumps({"object": "list", "data": list(cards)}).encode())


@pytest.mark.parametrize(
    "cards",
    [
        [],
        [{**BASE, "parent": "another"}],  # adapters alone
        [{**BASE, "max_model_len": None}],
    ],
)
async def test_a_server_without_a_base_model_of_some_length_is_no_engine(
    fake: FakeVllm, engine: Engine, cards: list[dict[str, Any]]
) -> None:
    fake.script(models(*cards), path=MODELS)
    with pytest.raises(EngineRefused) as caught:
        await engine.list_models()
    assert "is this a vLLM server?" in caught.value.reason


async def test_a_model_with_a_parent_is_an_adapter_and_its_root_is_its_folder(fake: FakeVllm, engine: Engine) -> None:
    one = {**BASE, "id": "style", "parent": "base", "root": "/adapters/style", "max_model_len": None}
    fake.script(models(one, BASE, {**one, "id": "bare", "root": None}), path=MODELS)
    listing = await engine.list_models()
    assert (listing.base_model, listing.max_model_len) == ("base", 4096)
    assert listing.adapters == {"style": "/adapters/style", "bare": ""}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (None, "0 prompt log-probabilities came back for 3 tokens"),
        ([None, {"6": {"logprob": -1.0}}], "2 prompt log-probabilities came back for 3 tokens"),
        ([None, {"6": {"logprob": -1.0}}, {"8": {"logprob": -2.0}}], "has no log-probability"),
        ([None, {"6": {"logprob": -1.0}}, None], "has no log-probability"),
    ],
)
async def test_log_probabilities_are_those_of_each_token_or_none(
    fake: FakeVllm, engine: Engine, rows: list[Any] | None, says: str
) -> None:
    choices = [] if rows is None else [{"prompt_logprobs": rows}]
    fake.script(faults.body(json.dumps({"choices": choices}).encode()), path=COMPLETIONS)
    with pytest.raises(EngineRefused) as caught:
        await engine.measure_logprobs("base", [5, 6, 7], 1)
    assert says in caught.value.reason


async def test_log_probabilities_begin_where_it_was_said(fake: FakeVllm, engine: Engine) -> None:
    rows = [None, {"6": {"logprob": -1.0}, "9": {"logprob": -0.5}}, {"7": {"logprob": -2.0}}]
    fake.rule = lambda received: faults.body(json.dumps({"choices": [{"prompt_logprobs": rows}]}).encode())
    assert await engine.measure_logprobs("base", [5, 6, 7], 1) == [-1.0, -2.0]
    assert await engine.measure_logprobs("base", [5, 6, 7], 2) == [-2.0]
    body = json.loads(fake.requests(COMPLETIONS)[0].body)
    assert (body["max_tokens"], body["temperature"], body["prompt_logprobs"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"", "(empty body)"), (b"x" * 600, "x" * 500), (b"\xff<html>", "\ufffd<html>"), (b'{"detail": "no"}', "no")],
)
async def test_a_refusal_that_is_no_envelope_is_told_by_its_beginning(
    fake: FakeVllm, engine: Engine, said: bytes, reason: str
) -> None:
    fake.script(faults.body(said), path=TOKENIZE)
    with pytest.raises(EngineRefused) as caught:
        await engine.tokenize("base", "Hello")
    assert caught.value.reason.startswith("The answer isn't what vLLM sends")
    assert caught.value.reason.removesuffix('"}').endswith(reason)


@pytest.mark.parametrize("special", [True, False])
async def test_tokens_are_counted_as_the_prompt_has_them(fake: FakeVllm, engine: Engine, special: bool) -> None:
    answer = faults.body(b'{"count": 2, "tokens": [1, 5], "max_model_len": 4096}')
    fake.rule = lambda received: answer if received.path == TOKENIZE else None
    if special:
        assert await engine.tokenize_text("base", "Hello") == [1, 5]
    else:
        assert await engine.tokenize("base", "Hello") == 2
    (request,) = fake.requests(TOKENIZE)
    assert request.json == {"model": "base", "prompt": "Hello", "add_special_tokens": special}


async def test_a_prompt_is_counted_with_all_that_its_template_reads_and_nothing_else(
    fake: FakeVllm, engine: Engine
) -> None:
    read = {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "chat_template_kwargs": {"enable_thinking": False},
        "add_generation_prompt": False,
        "continue_final_message": True,
    }
    body = {**read, "model": "kestrel.style.1", "max_tokens": 3, "cache_salt": "s", "stream": True}
    fake.script(faults.body(b'{"count": 7, "tokens": [1]}'), path=TOKENIZE)
    assert await engine.count_prompt("base", json.dumps(body).encode()) == 7
    assert fake.requests(TOKENIZE)[0].json == {**read, "model": "base"}


ADDRESS, NAME = "http://10.0.0.7:9200", "kestrel.style.0a1b2c3d"


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (EngineUnreachable(f"{ADDRESS}: reset", "answer"), 503, "engine_unreachable", "1"),
        (EngineTimeout(f"{ADDRESS}: silent", "stream"), 504, "engine_timeout", None),
        (EngineRefused(500, f"{ADDRESS}: boom"), 502, "engine_refused", None),
        (EngineBusy(429, f"{ADDRESS}: queue", "7"), 503, "engine_busy", "7"),
        (EngineBusy(503, f"{ADDRESS}: full", None), 503, "engine_busy", "1"),
        (EngineBusy(503, f"{ADDRESS}: full", "86400"), 503, "engine_busy", "60"),
        (EngineBusy(503, f"{ADDRESS}: full", "Fri, 31 Dec 1999 23:59:59 GMT"), 503, "engine_busy", "1"),
        (NoReplica(f"{ADDRESS}: down", 5), 503, "no_replica", "5"),
        (AdapterNotLoaded(NAME, f"{ADDRESS}: loading"), 503, "adapter_not_loaded", "2"),
        (AdapterUnservable(NAME, f"{ADDRESS}: rank 64"), 502, "adapter_rejected", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EngineError) else "",
)
def test_an_engine_s_fault_names_no_engine_to_a_client_and_says_when_to_try_again(
    error: EngineError, status: int, code: str, retry_after: str | None
) -> None:
    assert (error.status, error.code, error.headers.get("retry-after")) == (status, code, retry_after)
    sent = error.encode_body().decode()
    assert ADDRESS not in sent
    assert NAME not in sent
    assert ADDRESS in (error.explain() if isinstance(error, EngineRefused) else error.detail)


@pytest.mark.parametrize(("interval", "seconds"), [(0.05, 1), (1.4, 1), (5.0, 5)])
def test_whom_no_engine_takes_is_told_to_come_back_after_the_next_look(interval: float, seconds: int) -> None:
    with pytest.raises(NoReplica) as caught:
        EnginePool([], interval=interval).pick(None)
    assert caught.value.headers == {"retry-after": str(seconds)}
    assert f"{seconds} s" in caught.value.message


async def test_nothing_is_known_of_a_base_that_no_engine_has_told(engine: Engine) -> None:
    counter = TokenCounter(EnginePool([engine]))
    for read in (lambda: counter.context, lambda: counter.base_model):
        with pytest.raises(NoReplica):
            read()


async def test_the_counts_of_the_last_texts_are_kept(
    fake: FakeVllm, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engines.token_counter._REMEMBERED", 2)
    async with EnginePool([engine], interval=5) as pool:
        await until(lambda: pool.replicas[0].ready)
        counter = TokenCounter(pool)
        await counter.count(["one"])
        await counter.count(["two words"])
        assert counter.recall(["one"]) is not None  # so that the other one is the one that wasn't asked for longest
        await counter.count(["three words here"])
    assert counter.recall(["two words"]) is None
    assert counter.recall(["one", "three words here"]) is not None


@pytest.mark.parametrize("status", [400, 404])
async def test_a_load_that_is_refused_is_fine_only_where_the_name_is_there_from_that_path(
    fake: FakeVllm, engine: Engine, tmp_path: Path, status: int
) -> None:
    fake.adapters["style"] = tmp_path
    fake.rule = lambda received: faults.status(status) if received.path == "/v1/load_lora_adapter" else None
    if status == 400:
        await engine.load_adapter("style", str(tmp_path))
    else:
        with pytest.raises(EngineRefused):
            await engine.load_adapter("style", str(tmp_path))
    with pytest.raises(EngineRefused):
        await engine.load_adapter("style", "/elsewhere")


@pytest.mark.parametrize("kind", ["the PIN 4711", "x" * 65_000, "BadRequestError\nforged line"])
def test_a_kind_that_can_be_none_is_in_no_log(kind: str) -> None:
    assert EngineRefused(500, "reason", kind).detail == "status 500"
    assert EngineRefused(500, "reason", "InternalServerError").detail == "status 500 (InternalServerError)"
