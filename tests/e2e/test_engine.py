"""The local engine, for real: vLLM under its supervisor, with adapters that are loaded and proven.

That it comes back with them after it was killed is the demo's to show (`test_demo.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import pytest_asyncio

from gateway.engines import AdapterUnservable, DesiredAdapter
from tests.e2e.demo import session_of
from tests.e2e.local_engine import ROOT, RunningEngine, Wanted, call_training, read_probes, run_engine

# One engine for the whole file, and the tests build on each other's state: a start takes half a minute and more.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def base() -> Path:
    folder = ROOT / ".braid/models/smollm2-135m-instruct"
    call_training("-m", "training", "base-model", "--out", str(folder))
    return folder


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[DesiredAdapter]:
    folder = tmp_path_factory.mktemp("adapters")
    made: list[DesiredAdapter] = []
    for seed in (1, 2):
        path, reference = folder / f"seed-{seed}", folder / f"seed-{seed}.json"
        call_training("tests/e2e/tiny_adapter.py", str(base), str(path), str(seed))
        call_training(
            *("-m", "training", "reference", "--base", str(base), "--adapter", str(path), "--out", str(reference))
        )
        made.append(DesiredAdapter(f"kestrel.seed-{seed}.00000000", str(path), read_probes(reference)))
    return made


@pytest.fixture(scope="module")
def wanted() -> Wanted:
    return Wanted()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(base: Path, wanted: Wanted, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningEngine]:
    # With as many adapters as slots the last slot is taken, which is what a base model's request must not see.
    # A parser is named, because the packaged model's own template has no words for tools.
    options = "--tool-call-parser hermes --max-model-len 4096"
    async with run_engine(base, wanted, tmp_path_factory.mktemp("run"), adapters_at_once=2, options=options) as running:
        yield running


async def ask(running: RunningEngine, model: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": "Name one colour."}]
    return await running.chat({"model": model, "messages": messages, "max_tokens": 8, "temperature": 0, **more})


async def test_serves_the_base_model(running: RunningEngine) -> None:
    assert running.pool.base_model == "base"
    assert running.pool.max_model_len == 4096
    answer = json.loads(await ask(running, "base"))
    assert answer["usage"]["completion_tokens"] > 0
    streamed = await ask(running, "base", stream=True)
    events = [json.loads(line[6:]) for line in streamed.split(b"\n\n") if line.startswith(b"data: {")]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text == answer["choices"][0]["message"]["content"]
    assert streamed.endswith(b"data: [DONE]\n\n")
    assert await running.engine.tokenize("base", "Name one colour.") == 4


async def test_tools_are_taken_by_an_engine_with_a_parser(running: RunningEngine) -> None:
    tool = {"type": "function", "function": {"name": "paint", "parameters": {"type": "object", "properties": {}}}}
    for choice in ("auto", "none"):
        answer = json.loads(await ask(running, "base", tools=[tool], tool_choice=choice))
        assert answer["choices"][0]["message"]["role"] == "assistant"


async def test_an_answer_under_a_schema_has_no_white_space_to_hide_in(running: RunningEngine, base: Path) -> None:
    """Blanks are made far likelier than any other token: where the grammar allows one, the answer never ends."""
    vocabulary: dict[str, int] = json.loads((base / "tokenizer.json").read_text())["model"]["vocab"]
    blanks = [id for token, id in vocabulary.items() if set(token) <= set("ĠĊĉč")]  # as byte-level BPE spells them
    assert len(blanks) > 3
    colours = {"type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 2, "maxItems": 2}
    properties = {"colours": colours, "bright": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "colours", "schema": schema}}
    bias = {str(id): 100 for id in blanks}
    answer = json.loads(await ask(running, "base", max_tokens=64, response_format=form, logit_bias=bias))
    text = answer["choices"][0]["message"]["content"]
    assert text == json.dumps(json.loads(text), separators=(",", ":")), text


async def test_a_real_adapter_is_loaded_and_proven(
    running: RunningEngine, wanted: Wanted, adapters: list[DesiredAdapter]
) -> None:
    wanted.adapters = adapters
    for adapter in adapters:
        await running.reconciler.wait_until_resident(adapter.served_name, 120)
    assert running.reconciler.list_failures() == []
    assert json.loads(await ask(running, adapters[0].served_name))["model"] == adapters[0].served_name


async def test_an_adapter_under_another_ones_reference_is_refused(
    running: RunningEngine, wanted: Wanted, adapters: list[DesiredAdapter]
) -> None:
    one, other = adapters
    swapped = DesiredAdapter("harbor.swapped.00000000", one.path, other.probe)
    wanted.adapters = [*adapters, swapped]
    with pytest.raises(AdapterUnservable, check=lambda error: "doesn't reproduce" in error.reason):
        await running.reconciler.wait_until_resident(swapped.served_name, 120)
    assert swapped.served_name not in (await running.engine.list_models()).adapters
    wanted.adapters = adapters


async def test_requests_in_one_batch_keep_to_their_own_weights(
    running: RunningEngine, adapters: list[DesiredAdapter]
) -> None:
    names = ["base", adapters[0].served_name, "base", adapters[1].served_name] * 2
    probe = adapters[0].probe[0]
    alone = {name: await running.engine.measure_logprobs(name, probe.tokens, probe.start) for name in set(names)}
    together = await asyncio.gather(
        *(running.engine.measure_logprobs(name, probe.tokens, probe.start) for name in names)
    )
    for name, scores in zip(names, together, strict=True):
        # Rounding in bfloat16 depends on what shares the batch; the adapters differ from the base by half a nat.
        assert fmean(abs(a - b) for a, b in zip(scores, alone[name], strict=True)) < 0.1, name


async def test_stopping_leaves_no_process(running: RunningEngine) -> None:
    leader = running.child.state.pid
    assert len(session_of(leader)) >= 3
    await running.child.stop()
    assert session_of(leader) == []
